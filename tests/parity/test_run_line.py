"""`wherry inspect --format run`: the line makes the same container again."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from support.daemon import Engine

pytestmark = pytest.mark.stock_differs

LINES = [
    "busybox",
    "-it busybox sh",
    "-d --name web -p 8080:80 -p 127.0.0.1:99:99/udp -p 7000 --expose 81 busybox sleep 9",
    "-e A=1 -e 'B=two words' -l x=y --label z busybox env",
    "--hostname h --domainname d.test --user 1:2 -w /tmp busybox",
    "--stop-signal INT --stop-timeout 3 busybox",
    "--entrypoint /bin/echo busybox a 'b c'",
    "--entrypoint '' busybox true",
    "-m 64m --cpus 1.5 --cpu-shares 512 --pids-limit 50 --shm-size 1m busybox",
    "-m 64m --memory-swap 96m --memory-reservation 32m --cpuset-cpus 0 busybox",
    "--cap-add NET_ADMIN --cap-drop ALL --security-opt no-new-privileges busybox",
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined busybox",
    "--privileged busybox",
    "-v /tmp:/t:ro -v named:/n -v /anonymous --tmpfs /run:size=1m busybox",
    "--mount type=bind,src=/tmp,dst=/b,readonly --mount type=tmpfs,dst=/c,tmpfs-size=4096 busybox",
    "--mount type=volume,src=named,dst=/v,volume-nocopy busybox",
    "--network none busybox",
    "--network host busybox",
    "--dns 10.0.0.1 --dns-search a.test --dns-option ndots:2 --add-host x:10.0.0.2 busybox",
    "--mac-address 92:d0:c6:0a:29:33 busybox",
    "--restart on-failure:3 busybox",
    "--rm --init --read-only busybox",
    "--init=false --oom-score-adj 100 busybox",
    "--pid host --ipc host --uts host busybox",
    "--log-driver none busybox",
    "--log-opt max-size=5m --log-opt max-file=2 busybox",
    "--ulimit nofile=10:20 --ulimit core=0 --sysctl net.ipv4.ip_forward=0 busybox",
    "--group-add mail --annotation a=b --cgroup-parent other busybox",
    "--health-cmd 'test -e /x' --health-interval 7s --health-retries 4 busybox",
    "--no-healthcheck busybox",
    "--device /dev/null:/dev/zilch:r --device-cgroup-rule 'c 1:3 rw' busybox",
]
_OWN = ("Id", "Created", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
        "GraphDriver", "NetworkSettings", "Mounts")  # fmt: skip
"""What two containers never share."""


def _document(engine: Engine, name: str) -> Any:
    shown = engine.inspect(name)
    kept = {key: value for key, value in shown.items() if key not in _OWN}
    if kept["Config"]["Hostname"] == shown["Id"][:12]:
        kept["Config"]["Hostname"] = "short id"
    # The stock client sends these in the order of a Go map.
    for each in (kept["HostConfig"]["Binds"], kept["Config"]["Env"]):
        if each:
            each.sort()
    return kept


@pytest.mark.parametrize("line", LINES)
def test_recreated(engine: Engine, line: str) -> None:
    """Created again from the line, a container has the same inspect document and line."""
    words = shlex.split(line)
    name = words[words.index("--name") + 1] if "--name" in words else "again"
    named = words if "--name" in words else ["--name", name, *words]
    engine.docker_ok("create", *[word for word in named if word != "-d"])
    before = _document(engine, name)
    told = engine.wherry("inspect", "--format", "run", name)
    assert told.returncode == 0, told.stderr
    again = shlex.split(told.stdout)
    assert again[:2] == ["docker", "run"]
    engine.docker_ok("rm", "-v", name)
    engine.docker_ok("create", *[word for word in again[2:] if word != "--detach"])
    assert _document(engine, name) == before
    told_again = engine.wherry("container", "inspect", "-f", "run", name).stdout
    # docker's client keeps `-v` in a map of Go, so their order is by chance.
    assert sorted(shlex.split(told_again)) == sorted(again)


@pytest.fixture(autouse=True, scope="module")
def _no_volumes(shared_engine: Engine, clean_census: None) -> Iterator[None]:
    yield
    shared_engine.remove_all_containers()
    shared_engine.docker("volume", "rm", "named")


def test_defaults_are_left_out(engine: Engine) -> None:
    """The line of a plain container is plain."""
    engine.docker_ok("run", "-d", "--name", "plain", "-e", "A=1", "busybox", "sleep", "99")
    told = engine.wherry("inspect", "--format", "run", "plain").stdout
    assert told == "docker run --name=plain --detach --env=A=1 busybox sleep 99\n"


def test_images_have_no_line(engine: Engine) -> None:
    """What is no container is said to be none."""
    ran = engine.wherry("inspect", "--format", "run", "busybox")
    assert ran.returncode == 1
    assert "No such container: busybox" in ran.stderr
