"""Published ports: reachable where they should be, and only once taken."""

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.machine import HOST_ADDRESS
from support.waiting import wait_until

PAGE = "<h1>served</h1>"
SERVE = f"mkdir -p /www; echo '{PAGE}' > /www/index.html; exec httpd -f -p 80 -h /www"


def fetch(engine: Engine, host: str, port: int) -> str:
    """The page at an address, from the machine that the engine runs on."""
    with engine.machine.connect(host, port) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        stream.shutdown(socket.SHUT_WR)
        received = b""
        while part := stream.recv(4096):
            received += part
    return received.decode()


def wait_for_page(engine: Engine, host: str, port: int) -> None:
    """Wait until the page is there, or fail with what was seen last."""

    def is_served() -> bool:
        with contextlib.suppress(OSError):
            return PAGE in fetch(engine, host, port)
        return False

    wait_until(f"a page at {host}:{port}", is_served)


def get(host: str, port: int) -> tuple[str, str, str]:
    """A command that fetches the page with what busybox has, and prints it with its header."""
    return ("sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {host} {port}")


def serve(engine: Engine, *flags: str) -> str:
    """A container that serves the page on its port 80."""
    return engine.docker_ok("run", "-d", *flags, "busybox", "sh", "-c", SERVE)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", HOST_ADDRESS, "127.0.0.9"])
def test_reached_by_every_address_of_the_host(engine: Engine, host: str) -> None:
    """`-p 8080:80` answers on loopback, IPv6 loopback and the host's own address."""
    serve(engine, "-p", "8080:80")
    wait_for_page(engine, host, 8080)


@pytest.fixture
def ipv6_neighbour(engine: Engine) -> Iterator[str]:
    """A machine beside the engine's that speaks IPv6 with it; its namespace."""
    run = engine.machine.run
    for command in (
        "ip netns add beside",
        "ip link add v6host type veth peer name v6peer netns beside",
        "ip addr add fd00:5::1/64 dev v6host nodad",
        "ip link set v6host up",
        "ip -n beside addr add fd00:5::2/64 dev v6peer nodad",
        "ip -n beside link set v6peer up",
    ):
        done = run(*command.split())
        assert done.returncode == 0, (command, done.stderr)
    yield "beside"
    run("ip", "netns", "del", "beside")


@pytest.mark.parametrize("publish", ["8083:80", "[::]:8083:80", "[fd00:5::1]:8083:80"])
def test_reached_over_ipv6_from_outside(engine: Engine, ipv6_neighbour: str, publish: str) -> None:
    """A neighbour reaches a published port by the host's IPv6 address, if it is for it."""
    serve(engine, "-p", publish)

    def answers(address: str) -> bool:
        inside = f"--net=/run/netns/{ipv6_neighbour}"
        return PAGE in engine.machine.run("nsenter", inside, "busybox", *get(address, 8083)).stdout

    wait_until("the neighbour gets the page", lambda: answers("fd00:5::1"))
    if "fd00" in publish:
        with pytest.raises(OSError, match="refused"):
            fetch(engine, "::1", 8083)


def test_bound_to_one_address(engine: Engine) -> None:
    """`-p 127.0.0.1:8081:80` answers there and nowhere else."""
    serve(engine, "-p", "127.0.0.1:8081:80")
    wait_for_page(engine, "127.0.0.1", 8081)
    with pytest.raises(OSError):
        fetch(engine, HOST_ADDRESS, 8081)


def test_random_ports(engine: Engine) -> None:
    """`-P` gives each exposed port a free one; `docker port` and inspect tell which."""
    container = serve(engine, "-P", "--expose", "80", "--expose", "9000-9001", "--expose", "5/udp")
    bindings = engine.inspect(container)["NetworkSettings"]["Ports"]
    assert set(bindings) == {"80/tcp", "9000/tcp", "9001/tcp", "5/udp"}
    port = int(bindings["80/tcp"][0]["HostPort"])
    assert port >= 32768
    assert f"0.0.0.0:{port}" in engine.docker_ok("port", container, "80").splitlines()
    wait_for_page(engine, "127.0.0.1", port)
    assert f"0.0.0.0:{port}->80/tcp" in engine.docker_ok("ps", "--format", "{{.Ports}}")


def test_udp(engine: Engine, probe: Path) -> None:
    """A UDP port carries datagrams both ways."""
    flags = ("-p", "5000:5000/udp", "-v", f"{probe}:/probe:ro")
    engine.docker_ok("run", "-d", *flags, "busybox", "/probe", "udp-echo", "5000")

    def echoes() -> bool:
        with engine.machine.connect("127.0.0.1", 5000, udp=True, timeout_s=0.3) as stream:
            try:
                stream.send(b"ping")
                return stream.recv(100) == b"ping"
            except OSError:
                return False

    wait_until("the datagram comes back", echoes)


def test_taken_port_names_the_owner(engine: Engine) -> None:
    """A port that is in use fails the start; freed, the same container starts."""
    first = serve(engine, "--name", "first", "-p", "8082:80")
    second = engine.docker(
        "run", "-d", "--name", "second", "-p", "8082:80", "busybox", "sleep", "9"
    )
    assert second.returncode == 125
    assert re.search(
        "driver failed programming external connectivity on endpoint second .[0-9a-f]{64}.: "
        "Bind for 0.0.0.0:8082 failed: port is already allocated by container first",
        second.stderr,
    )
    assert engine.inspect("second")["State"]["Status"] == "created"
    engine.docker_ok("rm", "-f", first)
    engine.docker_ok("start", "second")
    assert engine.inspect("second")["State"]["Running"]


def test_port_of_another_program(engine: Engine) -> None:
    """A port that a program of the host listens on is refused, and free later."""
    with engine.machine.listen("0.0.0.0", 8083):
        refused = engine.docker(
            "run", "-d", "--name", "later", "-p", "8083:80", "busybox", "sleep", "9"
        )
        assert refused.returncode == 125
        assert re.search(
            "driver failed programming external connectivity on endpoint later .[0-9a-f]{64}.: "
            r"failed to bind host port for 0.0.0.0:8083:172.17.0.\d+:80/tcp: "
            "address already in use by ",
            refused.stderr,
        )
    engine.docker_ok("start", "later")


def test_a_published_port_is_taken_for_others(engine: Engine) -> None:
    """While published, no program of the host can listen on the port; afterwards it can."""
    container = serve(engine, "-p", "8084:80")
    with pytest.raises(OSError, match="Address already in use"):
        engine.machine.listen("0.0.0.0", 8084)
    engine.docker_ok("rm", "-f", container)
    engine.machine.listen("0.0.0.0", 8084).close()


def test_container_to_container(engine: Engine) -> None:
    """Containers reach each other by address, and by the host's published port."""
    server = serve(engine, "-p", "8085:80")
    found = engine.inspect(server)["NetworkSettings"]
    wait_for_page(engine, "127.0.0.1", 8085)
    for host, port in (
        (found["IPAddress"], 80),
        (HOST_ADDRESS, 8085),
        (found["Gateway"], 8085),
    ):
        page = engine.docker_ok("run", "--rm", "busybox", *get(host, port))
        assert PAGE in page, host


def test_a_container_reaches_its_own_published_port(engine: Engine) -> None:
    """The way out and back in again (hairpin) works."""
    server = serve(engine, "-p", "8086:80")
    wait_for_page(engine, "127.0.0.1", 8086)
    assert PAGE in engine.docker_ok("exec", server, *get(HOST_ADDRESS, 8086))


def test_ranges_and_several(engine: Engine) -> None:
    """Ranges map one to one, and one port may be published twice."""
    container = serve(engine, "-p", "8090-8091:80-81", "-p", "8095:80")
    bindings = engine.inspect(container)["NetworkSettings"]["Ports"]
    assert {each["HostPort"] for each in bindings["80/tcp"]} == {"8090", "8095"}
    assert {each["HostPort"] for each in bindings["81/tcp"]} == {"8091"}
    wait_for_page(engine, "127.0.0.1", 8090)
    wait_for_page(engine, "127.0.0.1", 8095)


def test_two_bindings_by_the_api(engine: Engine) -> None:
    """Several addresses with one host port each are several bindings."""
    bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8096"},
                           {"HostIp": HOST_ADDRESS, "HostPort": "8097"}]}  # fmt: skip
    container = engine.create(
        *("sh", "-c", SERVE), ExposedPorts={"80/tcp": {}}, HostConfig={"PortBindings": bindings}
    )
    assert engine.api("POST", f"/containers/{container}/start").status == 204
    wait_for_page(engine, "127.0.0.1", 8096)
    wait_for_page(engine, HOST_ADDRESS, 8097)


@pytest.fixture
def neighbour(engine: Engine) -> Iterator[str]:
    """A veth that a person put on the bridge by hand, in a namespace of its own."""
    run = engine.machine.run
    for command in (
        "ip netns add byhand",
        "ip link add bh0 type veth peer name bh1 netns byhand",
        "ip link set bh0 master docker0 up",
        "ip -n byhand addr add 172.17.200.2/16 dev bh1",
        "ip -n byhand link set bh1 up",
        "ip -n byhand route add default via 172.17.0.1",
    ):
        done = run(*command.split())
        assert done.returncode == 0, done.stderr
    yield "byhand"
    run("ip", "netns", "del", "byhand")
    run("ip", "link", "del", "bh0")


def test_hand_made_veth_has_connectivity(engine: Engine, neighbour: str) -> None:
    """Forwarding hangs on the bridge, so a veth that no engine made reaches containers."""
    server = serve(engine)
    address = engine.inspect(server)["NetworkSettings"]["IPAddress"]

    def answers() -> bool:
        inside = f"--net=/run/netns/{neighbour}"
        done = engine.machine.run("nsenter", inside, "busybox", *get(address, 80))
        return PAGE in done.stdout

    wait_until("the hand-made neighbour gets the page", answers)


def test_network_modes(engine: Engine) -> None:
    """`none` has loopback only, `host` the host's links, `container:` another's."""
    links = ("sh", "-c", "ls /sys/class/net | sort | tr '\\n' ' '")
    assert engine.docker_ok("run", "--rm", "--network", "none", "busybox", *links).split() == [
        "lo"
    ]
    host = engine.docker_ok("run", "--rm", "--network", "host", "busybox", *links).split()
    assert "docker0" in host
    server = serve(engine)

    def served() -> bool:
        ran = engine.docker(
            "run", "--rm", "--network", f"container:{server}", "busybox", *get("127.0.0.1", 80)
        )
        return PAGE in ran.stdout

    wait_until("the page by loopback of the shared network", served)


def test_whoever_lent_a_network_may_be_gone(engine: Engine) -> None:
    """A container that joins another's network is shown, started or removed, without the other."""
    lender = engine.docker_ok("create", "busybox")
    joined = engine.docker_ok("create", "--network", f"container:{lender}", "busybox")
    engine.docker_ok("rm", lender)
    assert engine.inspect(joined)["HostConfig"]["NetworkMode"] == f"container:{lender}"
    refused = engine.docker("start", joined)
    assert f"No such container: {lender}" in refused.stderr
    engine.docker_ok("rm", joined)


def test_files_of_the_network(engine: Engine) -> None:
    """hosts, hostname and resolv.conf are the container's own."""
    flags = (
        "-h",
        "boxy",
        "--add-host",
        "db:10.1.2.3",
        "--dns",
        "192.0.2.1",
        "--dns-search",
        "x.test",
    )
    script = "cat /etc/hosts; echo ==; cat /etc/hostname; echo ==; cat /etc/resolv.conf"
    out = engine.docker_ok("run", "--rm", *flags, "busybox", "sh", "-c", script)
    hosts, hostname, resolv = (part.strip() for part in out.split("=="))
    assert "127.0.0.1\tlocalhost" in hosts
    assert "10.1.2.3\tdb" in hosts
    assert any(line.endswith("\tboxy") for line in hosts.splitlines())
    assert hostname == "boxy"
    assert "nameserver 192.0.2.1" in resolv
    assert "search x.test" in resolv
