"""Names on users' networks: who is found by whom, under which names, and by what means."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.machine import call_in_namespace
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _no_networks_after(engine: Engine) -> Iterator[None]:
    """Only the engine's own networks are left."""
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


NOBODY = "127.0.0.1"
"""A name server that is not there, which is known at once."""


def sleeper(engine: Engine, name: str, *flags: str) -> str:
    """A container that is there."""
    return engine.docker_ok("run", "-d", "--name", name, *flags, "busybox", "sleep", "1000")


def looked_up(engine: Engine, asker: str, name: str, kind: str = "a") -> set[str]:
    """The addresses (or names) that a container is told."""
    flags = () if kind == "ptr" else (f"-type={kind}",)
    ran = engine.docker("exec", asker, "nslookup", *flags, name)
    lines = ran.stdout.splitlines()
    answers = lines[lines.index("") :] if "" in lines else []
    return {line.partition(": ")[2] for line in answers if line.startswith("Address")} | {
        line.partition("name = ")[2] for line in answers if "name = " in line
    }


def address(engine: Engine, container: str, network: str, family: str = "IPAddress") -> str:
    """Where a container is on a network."""
    return str(engine.inspect(container)["NetworkSettings"]["Networks"][network][family])


def test_names_aliases_and_short_ids(engine: Engine) -> None:
    """Everything by which Docker lets a container be found; and back from the address."""
    engine.docker_ok("network", "create", "blue")
    flags = ("--network", "blue", "--network-alias", "store", "--hostname", "elsewhere")
    identity = sleeper(engine, "db", *flags)
    sleeper(engine, "web", "--network", "blue")
    where = {address(engine, "db", "blue")}
    for name in ("db", "store", identity[:12], "db.blue", "DB"):
        assert looked_up(engine, "web", name) == where, name
    assert looked_up(engine, "web", where.copy().pop(), "ptr") == {"db.blue"}
    assert "nameserver 127.0.0.11" in engine.docker_ok("exec", "web", "cat", "/etc/resolv.conf")
    engine.docker_ok("exec", "web", "ping", "-c", "1", "-W", "2", "db")


def test_an_alias_with_several_holders(engine: Engine) -> None:
    """All addresses; who stops is no longer among them."""
    engine.docker_ok("network", "create", "blue")
    for name in ("one", "two"):
        sleeper(engine, name, "--network", "blue", "--network-alias", "search")
    sleeper(engine, "web", "--network", "blue")
    both = {address(engine, "one", "blue"), address(engine, "two", "blue")}
    assert looked_up(engine, "web", "search") == both
    engine.docker_ok("rm", "-f", "one")
    assert looked_up(engine, "web", "search") == {address(engine, "two", "blue")}


def test_only_the_networks_that_the_asker_is_on(engine: Engine) -> None:
    """A name of another network is not known, until one joins it."""
    for network in ("blue", "red"):
        engine.docker_ok("network", "create", network)
    sleeper(engine, "db", "--network", "red")
    sleeper(engine, "web", "--network", "blue")
    assert looked_up(engine, "web", "db") == set()
    engine.docker_ok("network", "connect", "--alias", "front", "red", "web")
    assert looked_up(engine, "web", "db") == {address(engine, "db", "red")}
    assert looked_up(engine, "db", "front") == {address(engine, "web", "red")}
    engine.docker_ok("network", "disconnect", "red", "web")
    assert looked_up(engine, "web", "db") == set()
    assert looked_up(engine, "db", "front") == set()


def test_ipv6_names(engine: Engine) -> None:
    """Both kinds of address; a network without IPv6 has an empty answer, not an error."""
    engine.docker_ok("network", "create", "--ipv6", "six")
    sleeper(engine, "db", "--network", "six")
    sleeper(engine, "web", "--network", "six")
    six = address(engine, "db", "six", "GlobalIPv6Address")
    assert looked_up(engine, "web", "db", "aaaa") == {six}
    assert looked_up(engine, "web", six, "ptr") == {"db.six"}


def test_the_default_bridge_has_no_names(engine: Engine) -> None:
    """As the course says: links and the hosts file there."""
    sleeper(engine, "db")
    sleeper(engine, "web", "--dns", NOBODY)
    assert "127.0.0.11" not in engine.docker_ok("exec", "web", "cat", "/etc/resolv.conf")
    assert engine.docker("exec", "web", "ping", "-c", "1", "-W", "1", "db").returncode != 0


def test_a_container_may_be_a_name_server(engine: Engine) -> None:
    """Port 53 is free inside on every address, by both transports; others ask it, it asks ours."""
    engine.docker_ok("network", "create", "blue")
    sleeper(engine, "ns", "--network", "blue")
    sleeper(engine, "web", "--network", "blue")
    namespace = os.open(f"/proc/{engine.container_pid('ns')}/ns/net", os.O_RDONLY)
    try:
        listener = call_in_namespace(namespace, lambda: socket.create_server(("0.0.0.0", 53)))
        server = call_in_namespace(namespace, lambda: _udp_server("0.0.0.0"))
    finally:
        os.close(namespace)
    own = address(engine, "ns", "blue")
    with listener, serving(server):
        told = engine.docker("exec", "web", "nslookup", "-type=a", "elsewhere.example", own).stdout
        assert "192.0.2.7" in told
        for asker in ("ns", "web"):
            assert looked_up(engine, asker, "ns") == {own}


def test_names_are_answered_while_the_daemon_is_away(engine: Engine) -> None:
    """kill -9 amid look-ups: none fails, and afterwards changes are heard of again."""
    engine.docker_ok("network", "create", "blue")
    sleeper(engine, "db", "--network", "blue")
    loop = (
        "for i in $(seq 300); do nslookup db >/dev/null || echo lost; usleep 5000; done; echo end"
    )
    engine.docker_ok("run", "-d", "--name", "asker", "--network", "blue", "busybox", "sh", "-c",
                     loop)  # fmt: skip
    engine.kill9()
    engine.start()
    wait_until("it has asked", lambda: "end" in engine.docker_ok("logs", "asker"), within_s=60)
    assert engine.docker_ok("logs", "asker") == "end"
    sleeper(engine, "web", "--network", "blue")
    assert looked_up(engine, "web", "db") == {address(engine, "db", "blue")}
    engine.docker_ok("rm", "-f", "db")
    assert looked_up(engine, "web", "db") == set()


@pytest.fixture
def outside(engine: Engine) -> Iterator[str]:
    """A name server elsewhere that knows every name as 192.0.2.7; its address."""
    with elsewhere(engine) as host:
        yield host


@contextlib.contextmanager
def elsewhere(engine: Engine, knows: bytes = b"") -> Iterator[str]:
    """A name server that is not on this host's networks; its address."""
    host = "198.51.100.53"
    engine.machine.run("ip", "address", "add", f"{host}/32", "dev", "lo")
    try:
        with serving(engine.machine.in_network(lambda: _udp_server(host)), knows):
            yield host
    finally:
        engine.machine.run("ip", "address", "del", f"{host}/32", "dev", "lo")


@contextlib.contextmanager
def serving(server: socket.socket, knows: bytes = b"") -> Iterator[None]:
    """Answer 192.0.2.7 to questions that hold some bytes, and that there is no such name else."""
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            try:
                packet, asker = server.recvfrom(4096)
            except TimeoutError:
                continue
            end = packet.index(b"\0", 12) + 5
            if knows in packet:
                answer = packet[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + packet[12:end]
                answer += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([192, 0, 2, 7])
            else:
                answer = packet[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + packet[12:end]
            server.sendto(answer, asker)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        server.close()


def _udp_server(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 53))
    made.settimeout(0.2)
    return made


def test_other_names_are_asked_outside(engine: Engine, outside: str) -> None:
    """`--dns` says whom; an internal network asks nobody."""
    engine.docker_ok("network", "create", "blue")
    engine.docker_ok("network", "create", "--internal", "inner")
    sleeper(engine, "web", "--network", "blue", "--dns", outside)
    sleeper(engine, "shut", "--network", "inner", "--dns", outside)
    assert looked_up(engine, "web", "elsewhere.example") == {"192.0.2.7"}
    assert looked_up(engine, "web", "web") == {address(engine, "web", "blue")}
    assert looked_up(engine, "shut", "elsewhere.example") == set()
    assert looked_up(engine, "shut", "shut") == {address(engine, "shut", "inner")}


def test_names_are_completed_as_wished(engine: Engine) -> None:
    """`--dns-search`, `--dns-opt`: by the container, before it asks; never by the server."""
    engine.docker_ok("network", "create", "blue")
    with elsewhere(engine, b"\5short\1a\4test\0") as host:
        flags = ("--network", "blue", "--dns", host, "--dns-search", "a.test")
        sleeper(engine, "one", *flags, "--dns-opt", "ndots:3", "--dns-opt", "attempts:1")
        sleeper(engine, "two", *flags)
        wanted = {"nameserver 127.0.0.11", "search a.test", "options ndots:3 attempts:1"}
        assert wanted <= set(
            engine.docker_ok("exec", "one", "cat", "/etc/resolv.conf").split("\n")
        )
        assert "options ndots:0" in engine.docker_ok("exec", "two", "cat", "/etc/resolv.conf")
        assert looked_up(engine, "one", "short") == {"192.0.2.7"}
        for asker in ("one", "two"):
            engine.docker_ok("exec", asker, "ping", "-c", "1", "-W", "2", "two")


def test_networks_answer_in_the_order_of_connection(engine: Engine) -> None:
    """A name that two networks know is that of the one that was joined first."""
    for network in ("blue", "red"):
        engine.docker_ok("network", "create", network)
        sleeper(engine, f"of-{network}", "--network", network, "--network-alias", "db")
    sleeper(engine, "first-red", "--network", "red")
    engine.docker_ok("network", "connect", "blue", "first-red")
    sleeper(engine, "first-blue", "--network", "blue")
    engine.docker_ok("network", "connect", "red", "first-blue")
    sleeper(engine, "both", "--network", "red", "--network", "blue")
    expected = {"first-red": "red", "first-blue": "blue", "both": "red"}
    for asker, network in expected.items():
        where = {address(engine, f"of-{network}", network)}
        assert looked_up(engine, asker, "db") == where, asker
        assert looked_up(engine, asker, "db.blue") == {address(engine, "of-blue", "blue")}
    engine.docker_ok("network", "disconnect", "red", "first-red")
    assert looked_up(engine, "first-red", "db") == {address(engine, "of-blue", "blue")}


def test_resolvers_come_and_go_with_networks(engine: Engine) -> None:
    """From the default bridge to a user's network, to none at all, and back, while it runs."""
    engine.docker_ok("network", "create", "blue")
    sleeper(engine, "db", "--network", "blue")
    sleeper(engine, "web")
    where = {address(engine, "db", "blue")}

    def resolv_conf() -> str:
        return engine.docker_ok("exec", "web", "cat", "/etc/resolv.conf")

    hosts_own = resolv_conf()
    assert "127.0.0.11" not in hosts_own
    engine.docker_ok("network", "connect", "blue", "web")
    assert "nameserver 127.0.0.11" in resolv_conf()
    assert looked_up(engine, "web", "db") == where
    engine.docker_ok("network", "disconnect", "blue", "web")
    assert resolv_conf() == hosts_own
    assert looked_up(engine, "web", "db") == set()
    engine.docker_ok("network", "disconnect", "bridge", "web")
    assert engine.inspect("web")["NetworkSettings"]["Networks"] == {}
    assert engine.docker_ok("exec", "web", "ip", "route") == ""
    engine.docker_ok("restart", "-t", "0", "web")
    assert engine.inspect("web")["State"]["Running"]
    engine.docker_ok("network", "connect", "blue", "web")
    assert looked_up(engine, "web", "db") == where
