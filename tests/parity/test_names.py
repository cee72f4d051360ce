"""Names on users' networks: who is found by whom, under which names, and by what means."""

import socket
import threading
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _no_networks_after(engine: Engine) -> Iterator[None]:
    """Only the engine's own networks are left."""
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


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
    identity = sleeper(engine, "db", "--network", "blue", "--network-alias", "store")
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
    sleeper(engine, "web")
    assert "127.0.0.11" not in engine.docker_ok("exec", "web", "cat", "/etc/resolv.conf")
    assert engine.docker("exec", "web", "ping", "-c", "1", "-W", "1", "db").returncode != 0


def test_a_container_may_be_a_name_server(engine: Engine) -> None:
    """Port 53 is free inside, on every address."""
    engine.docker_ok("network", "create", "blue")
    sleeper(engine, "ns", "--network", "blue")
    engine.docker_ok("exec", "-d", "ns", "nc", "-l", "-p", "53")
    listening = ("exec", "ns", "netstat", "-ltn")
    wait_until("it listens", lambda: " 0.0.0.0:53 " in engine.docker_ok(*listening)
               or " :::53 " in engine.docker_ok(*listening))  # fmt: skip
    assert looked_up(engine, "ns", "ns") == {address(engine, "ns", "blue")}


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
    host = "198.51.100.53"
    engine.machine.run("ip", "address", "add", f"{host}/32", "dev", "lo")
    server = engine.machine.in_network(lambda: _udp_server(host))
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            try:
                packet, asker = server.recvfrom(4096)
            except TimeoutError:
                continue
            end = packet.index(b"\0", 12) + 5
            answer = packet[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + packet[12:end]
            answer += b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([192, 0, 2, 7])
            server.sendto(answer, asker)

    thread = threading.Thread(target=serve)
    thread.start()
    yield host
    is_over.set()
    thread.join()
    server.close()
    engine.machine.run("ip", "address", "del", f"{host}/32", "dev", "lo")


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
