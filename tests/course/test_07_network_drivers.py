"""Chapter 7 of the course: bridge, none, host, and the network of another container."""

import pytest

from support.daemon import Engine
from support.waiting import wait_until


def links(text: str) -> set[str]:
    """The interfaces that `ip -o link` tells."""
    return {line.split(": ")[1].partition("@")[0] for line in text.splitlines()}


@pytest.mark.slide("7.2")
def test_the_default_bridge(services: Engine) -> None:
    """A veth pair to docker0, a private address, a way out; routes and rules of its own."""
    services.docker_ok(
        "run", "-d", "--name", "here", "--cap-add", "NET_ADMIN", "alpine", "sleep", "99"
    )
    inside = services.docker_ok("exec", "here", "ip", "-o", "link")
    assert links(inside) == {"lo", "eth0"}
    outside = services.machine.run("ip", "-o", "link", "show", "type", "veth").stdout
    assert " master docker0 " in outside
    rules = services.machine.run("nft", "list", "ruleset").stdout
    assert "masquerade" in rules
    assert "dnat ip to" in rules
    services.docker_ok("exec", "here", "ip", "route", "add", "10.9.0.0/16", "dev", "eth0")
    assert "10.9.0.0/16" in services.docker_ok("exec", "here", "ip", "route")
    assert "10.9.0.0/16" not in services.machine.run("ip", "route").stdout


@pytest.mark.slide("7.3")
def test_the_null_driver(services: Engine) -> None:
    """Loopback alone, and nobody to talk to."""
    told = services.docker_ok("run", "--rm", "--net", "none", "alpine", "ip", "-o", "link")
    assert links(told) == {"lo"}
    lost = services.docker("run", "--rm", "--net", "none", "alpine", "ping", "-c", "1", "1.1.1.1")
    assert "Network is unreachable" in lost.stderr


@pytest.mark.slide("7.4")
def test_the_host_driver(services: Engine) -> None:
    """It sees the host's interfaces, and any port that it binds is the host's."""
    told = services.docker_ok("run", "--rm", "--net", "host", "alpine", "ip", "-o", "link")
    assert links(told) == links(services.machine.run("ip", "-o", "link").stdout)
    services.docker_ok("run", "-d", "--net", "host", "nginx")
    fetch = ("busybox", "wget", "-q", "-O-", "http://127.0.0.1:80/")
    wait_until("it serves", lambda: "Welcome" in services.machine.run(*fetch).stdout)


@pytest.mark.slide("7.5")
def test_the_container_driver(services: Engine) -> None:
    """The same interfaces and addresses; they talk over 127.0.0.1."""
    owner = services.docker_ok("run", "-d", "alpine", "httpd", "-f", "-p", "127.0.0.1:8000")
    joined = ("run", "--rm", "--net", f"container:{owner}", "alpine")
    told = services.docker_ok(*joined, "ip", "-o", "addr")
    assert told == services.docker_ok("exec", owner, "ip", "-o", "addr")
    wait_until(
        "they talk",
        lambda: "404" in services.docker(*joined, "wget", "-O-", "http://127.0.0.1:8000/").stderr,
    )
