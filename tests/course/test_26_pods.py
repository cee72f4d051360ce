"""Chapter 26 of the course: containers that share a network, around one that does nothing."""

import json
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.waiting import wait_until


@pytest.fixture(autouse=True)
def _no_pods(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    engine.docker_ok("volume", "prune", "-af")
    engine.docker("rmi", "wherry/pause")


@pytest.mark.slide("26.1", "26.3")
def test_by_hand(engine: Engine) -> None:
    """`--net container:`: the same address, each other's localhost, files of their own."""
    share = ("--net", "container:sandbox", "--ipc", "container:sandbox", "-v", "shared:/shared")
    engine.docker_ok("run", "-d", "--name", "sandbox", "--ipc", "shareable", "busybox",
                     "sleep", "1000")  # fmt: skip
    serve = "echo page >/index.html; echo word >/shared/word; exec httpd -f -p 8080 -h /"
    engine.docker_ok("run", "-d", "--name", "web", *share, "busybox", "sh", "-c", serve)
    engine.docker_ok("run", "-d", "--name", "peer", *share, "busybox", "sleep", "1000")
    fetch = ("exec", "peer", "wget", "-q", "-O-", "http://localhost:8080/index.html")
    wait_until("it serves", lambda: engine.docker(*fetch).stdout == "page\n")
    addresses = {engine.docker_ok("exec", name, "hostname", "-i") for name in ("web", "peer")}
    assert addresses == {engine.inspect("sandbox")["NetworkSettings"]["IPAddress"]}
    assert engine.docker("exec", "peer", "cat", "/index.html").returncode == 1
    assert engine.docker_ok("exec", "peer", "cat", "/shared/word") == "word"


@pytest.mark.slide("26.3")
@pytest.mark.stock_differs
def test_by_wherry(engine: Engine) -> None:
    """`wherry pod`: the sandbox is a container like others, and process 1 of the pod reaps."""

    def wherry(*words: str) -> str:
        ran = engine.wherry(*words)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    identifier = wherry("pod", "create", "--share", "net,ipc,pid", "-p", "8080", "web")
    assert engine.docker_ok("ps", "-q", "--no-trunc") == identifier
    assert engine.docker_ok("ps", "--format", "{{.Names}} {{.Image}}") == (
        "web-sandbox wherry/pause:latest"
    )
    wherry("run", "-d", "--pod", "web", "--name", "server", "busybox", "httpd", "-f", "-p", "8080")
    orphan = "(sleep 0.2 &); echo; exec sleep 1000"
    wherry("run", "-d", "--pod", "web", "--name", "other", "busybox", "sh", "-c", orphan)
    assert engine.docker_ok("exec", "other", "cat", "/proc/1/comm") in ("docker-init", "tini")
    wait_until(
        "the orphan is reaped",
        lambda: (
            " Z " not in engine.docker_ok("exec", "other", "sh", "-c", "cat /proc/[0-9]*/stat")
        ),
    )
    wait_until(
        "it answers",
        lambda: "404" in engine.docker("exec", "other", "wget", "-O-", "localhost:8080").stderr,
    )
    listed = wherry("pod", "ps", "--format", "{{.Name}} {{.Status}} {{.Containers}}")
    assert listed == "web Running 2"
    assert [line.split()[:2] for line in wherry("pod", "ps").splitlines()] == [
        ["POD", "ID"], [identifier[:12], "web"],
    ]  # fmt: skip
    refused = engine.wherry("pod", "rm", "web")
    assert refused.returncode == 1
    assert "has running containers" in refused.stderr
    assert wherry("pod", "rm", "-f", "web") == "web"
    assert engine.docker_ok("ps", "-aq") == ""
    gone = engine.wherry("run", "--pod", "web", "busybox")
    assert gone.returncode == 125
    assert gone.stderr.startswith("wherry: no such pod: web\n")
    assert json.loads(wherry("pod", "ps", "--format", "json") or "[]") == []
