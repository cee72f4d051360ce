"""`wherry update --publish-add, --publish-rm`: ports come and go while a container runs."""

import socket
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.stock_differs]

_ECHO = "while :; do nc -l -p 80 -e cat; done"


@pytest.fixture(autouse=True)
def _nothing_after(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


def web(engine: Engine, *flags: str) -> None:
    """A server named web that listens."""
    engine.docker_ok("run", "-d", "--name", "web", *flags, "busybox", "httpd", "-f", "-p", "80")
    wait_until(
        "it listens", lambda: ":80 " in engine.docker("exec", "web", "netstat", "-ltn").stdout
    )


def update(engine: Engine, *flags: str) -> None:
    """An update that works."""
    ran = engine.wherry("update", *flags, "web")
    assert (ran.returncode, ran.stdout) == (0, "web\n"), ran.stderr


def answers(engine: Engine, port: int, address: str = "127.0.0.1") -> bool:
    """Whether something takes a connection there and says something."""
    try:
        with engine.machine.connect(address, port) as opened:
            opened.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(opened.recv(1))
    except OSError:
        return False


def ports(engine: Engine) -> set[str]:
    """What is published, as `docker port` has it."""
    return set(engine.docker_ok("port", "web").splitlines())


def test_added_and_removed(engine: Engine) -> None:
    """At once, in ps, port and inspect; what stays is not touched."""
    web(engine, "-p", "18080:80")
    update(engine, "--publish-add", "127.0.0.1:18081:80")
    assert answers(engine, 18080)
    assert answers(engine, 18081)
    assert "80/tcp -> 127.0.0.1:18081" in ports(engine)
    assert "18081->80/tcp" in engine.docker_ok("ps", "--format", "{{.Ports}}")
    update(engine, "--publish-rm", "18080")
    assert not answers(engine, 18080)
    assert ports(engine) == {"80/tcp -> 127.0.0.1:18081"}
    wishes = engine.inspect("web")["HostConfig"]["PortBindings"]
    assert wishes == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18081"}]}


def test_kept_over_restarts(engine: Engine) -> None:
    """Of the container, and of the daemon, however it ends."""
    web(engine)
    update(engine, "--publish-add", "18080:80")
    engine.docker_ok("restart", "-t", "0", "web")
    wait_until("it answers", lambda: answers(engine, 18080))
    engine.kill9()
    assert answers(engine, 18080)
    engine.start()
    assert answers(engine, 18080)
    update(engine, "--publish-rm", "18080")
    engine.docker_ok("restart", "-t", "0", "web")
    assert ports(engine) == set()


def test_a_container_that_does_not_run(engine: Engine) -> None:
    """The next start publishes."""
    engine.docker_ok("create", "--name", "web", "busybox", "httpd", "-f", "-p", "80")
    update(engine, "--publish-add", "18080:80")
    engine.docker_ok("start", "web")
    wait_until("it answers", lambda: answers(engine, 18080))


def test_exposed_and_random_ports(engine: Engine) -> None:
    """`-P`: one of several goes, and stays away; the others are published at each start."""
    web(engine, "--expose", "80", "--expose", "81", "-P")
    (gone,) = engine.docker_ok("port", "web", "81/tcp").splitlines()[:1]
    update(engine, "--publish-rm", gone.rpartition(":")[2])
    assert {each.partition(" ")[0] for each in ports(engine)} == {"80/tcp"}
    engine.docker_ok("restart", "-t", "0", "web")
    assert {each.partition(" ")[0] for each in ports(engine)} == {"80/tcp"}


def test_connections_elsewhere_go_on(engine: Engine) -> None:
    """One that was made through a port that stays lives; through a port that goes it ends."""
    engine.docker_ok(
        "run", "-d", "--name", "web", "-p", "18080:80", "-p", "18081:81", "busybox", "sh", "-c",
        f"({_ECHO.replace('80', '81')}) & {_ECHO}",
    )  # fmt: skip
    wait_until(
        "both listen",
        lambda: all(
            word in engine.docker("exec", "web", "netstat", "-ltn").stdout
            for word in (":80 ", ":81 ")
        ),
    )
    stays, goes = (
        engine.machine.connect("127.0.0.1", 18080),
        engine.machine.connect("127.0.0.1", 18081),
    )
    with stays, goes:
        for each in (stays, goes):
            assert echoed(each)
        update(engine, "--publish-rm", "18081", "--publish-add", "18082:81")
        assert echoed(stays)
        assert not echoed(goes)


def test_connections_may_be_kept(engine: Engine) -> None:
    """With --keep-flows what was begun goes on, and nothing new begins."""
    engine.docker_ok("run", "-d", "--name", "web", "-p", "18080:80", "busybox", "sh", "-c", _ECHO)
    wait_until(
        "it listens", lambda: ":80 " in engine.docker("exec", "web", "netstat", "-ltn").stdout
    )
    with engine.machine.connect("127.0.0.1", 18080) as begun:
        assert echoed(begun)
        update(engine, "--publish-rm", "18080", "--keep-flows")
        assert echoed(begun)
    assert not answers(engine, 18080)


def echoed(opened: socket.socket) -> bool:
    """Whether the other side still gives back what it is sent."""
    opened.settimeout(5)
    try:
        opened.sendall(b"x\n")
        return opened.recv(2) == b"x\n"
    except OSError:
        return False


def test_explain_tells_the_ports_of_now(engine: Engine) -> None:
    """What leads to it, and that it still does."""
    web(engine, "-p", "18080:80")
    update(engine, "--publish-rm", "18080", "--publish-add", "18081:80")
    text = engine.wherry("explain", "--live", "web").stdout
    assert "18081 ->" in text.replace(":18081", "18081")
    assert "18080" not in text
    assert "gone" not in text


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--publish-rm", "9999"), "container web publishes nothing at port 9999/tcp"),
        (("--publish-rm", "80:x"), 'invalid port specification: "80:x"'),
        (("--publish-rm", "127.0.0.300:80"), "invalid IP address: 127.0.0.300"),
        (("--publish-add", "18089:80"), "18089"),
        (("--publish-add", "18080:81"), "port is already allocated by container web"),
        (
            ("--publish-add", "18081:80", "--publish-add", "18081:81"),
            "Bind for 0.0.0.0:18081 failed: port is already allocated by container web",
        ),
        (("--publish-add", "1:2:3:4"), "invalid"),
    ],
)
def test_bad_wishes(engine: Engine, flags: tuple[str, ...], complaint: str) -> None:
    """One sentence, and everything as it was."""
    engine.docker_ok("run", "-d", "--name", "other", "-p", "18089:80", "busybox", "sleep", "99")
    web(engine, "-p", "18080:80")
    before = engine.machine.run("nft", "list", "ruleset").stdout
    ran = engine.wherry("update", *flags, "web")
    assert ran.returncode == 1
    assert complaint in ran.stderr
    assert engine.machine.run("nft", "list", "ruleset").stdout == before
    assert answers(engine, 18080)
    assert ports(engine) == {"80/tcp -> 0.0.0.0:18080", "80/tcp -> [::]:18080"}


def test_asking_twice(engine: Engine) -> None:
    """What is published already is published once, now and at the next start."""
    web(engine, "-p", "18080:80")
    update(engine, "--publish-add", "18080:80")
    update(engine, "--publish-add", "18081:80", "--publish-add", "18081:80")
    wished = {
        f"80/tcp -> {where}:{port}" for where in ("0.0.0.0", "[::]") for port in (18080, 18081)
    }
    assert ports(engine) == wished
    engine.docker_ok("restart", "-t", "0", "web")
    assert ports(engine) == wished
    update(engine, "--publish-rm", "18080:80", "--publish-rm", "18081:80")
    assert ports(engine) == set()


@pytest.mark.parametrize("mode", ["host", "none"])
def test_where_ports_lead_nowhere(engine: Engine, mode: str) -> None:
    """A container without a network of its own is told so."""
    engine.docker_ok("run", "-d", "--name", "web", "--network", mode, "busybox", "sleep", "99")
    ran = engine.wherry("update", "--publish-add", "18080:80", "web")
    assert ran.returncode == 1
    assert f"ports of a container with --network {mode} are not published" in ran.stderr


def test_on_a_routed_network(engine: Engine) -> None:
    """A port is opened at the container's own address, and closed; no host port leads there."""
    mode = "com.docker.network.bridge.gateway_mode_ipv4=routed"
    engine.docker_ok("network", "create", "-o", mode, "net")
    web(engine, "--network", "net", "-p", "18080:80")
    bridge = engine.machine.run("sh", "-c", "nft list tables | cut -d' ' -f3").stdout.strip()

    def opened() -> str:
        return engine.machine.run("nft", "list", "set", "inet", bridge, "reachable4").stdout

    assert "tcp . 80" in opened()
    update(engine, "--publish-add", "18081:81")
    assert "tcp . 81" in opened()
    assert ports(engine) == {"80/tcp -> 0.0.0.0:", "81/tcp -> 0.0.0.0:"}
    update(engine, "--publish-rm", "18081")
    assert "tcp . 81" not in opened()
    assert "tcp . 80" in opened()
    assert not answers(engine, 18080)
