"""RELIABILITY N01, N04 and N10, and a daemon that dies while names and ports are used."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from proofs.test_live_restore import Requests
from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.proof_size import Size
from support.waiting import wait_until

SERVE = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www"
OUTSIDE, LAN = "192.0.2.2", "192.0.2.1"
ADVERTISEMENTS = """
import socket, struct, sys
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
raw.setsockopt(41, socket.IPV6_MULTICAST_HOPS, 255)
eth0 = socket.if_nametoindex("eth0")
raw.bind((sys.argv[1], 0, 0, eth0))
prefix = struct.pack('!BBBBIII', 3, 4, 64, 0xC0, 9000, 9000, 0)
prefix += socket.inet_pton(socket.AF_INET6, '2001:db8:bad::')
said = struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 9000, 0, 0) + prefix
for _ in range(int(sys.argv[2])):
    raw.sendto(said, ('ff02::1', 0, 0, eth0))
"""
"""Router advertisements (RFC 4861): I am the default router, and this is your prefix. They count
only when they come from a link-local address."""


@pytest.fixture(autouse=True)
def _nothing_after(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    engine.docker("network", "prune", "-f")


@contextmanager
def neighbour_of(engine: Engine) -> Iterator[None]:
    """Another machine on the host's network, from which 127.0.0.1 is over the wire: no link lo."""
    run = engine.machine.run
    for command in (
        "ip netns add outside",
        "ip link add out0 type veth peer name out1 netns outside",
        f"ip address add {LAN}/24 dev out0",
        "ip link set out0 up",
        "sysctl -qw net.ipv4.conf.out0.route_localnet=1",
        f"ip -n outside address add {OUTSIDE}/24 dev out1",
        "ip -n outside link set out1 up",
        "ip netns exec outside sysctl -qw net.ipv4.conf.all.route_localnet=1",
        f"ip -n outside route add 127.0.0.1 via {LAN}",
        f"ip -n outside route add 172.16.0.0/12 via {LAN}",
    ):
        done = run(*command.split())
        assert done.returncode == 0, (command, done.stderr)
    yield
    run("ip", "netns", "del", "outside")
    run("ip", "link", "del", "out0")


def serve(engine: Engine, name: str, *flags: str) -> None:
    """A web server that listens."""
    engine.docker_ok("run", "-d", "--name", name, *flags, "busybox", "sh", "-c", SERVE)
    wait_until(
        "it listens", lambda: ":80 " in engine.docker("exec", name, "netstat", "-ltn").stdout
    )


def reached(engine: Engine, address: str, port: int, times: int) -> int:
    """How many of so many connections from the neighbour are made."""
    one = f"timeout 1 busybox nc {address} {port} -e true && echo made"
    script = f"for i in $(seq {times}); do ({one}) & done; wait"
    said = engine.machine.run("ip", "netns", "exec", "outside", "sh", "-c", script, timeout_s=120)
    return said.stdout.count("made")


def test_loopback_is_nobody_elses(engine: Engine, size: Size, figure: list[str]) -> None:
    """N01, N02: not by 127.0.0.1 off the wire, nor at the container's address; a flush mends."""
    with neighbour_of(engine):
        before, after = intrusions(engine, times := size.of(100, 10))
    figure.append(f"{6 * times} connections, {sum(before + after)} made")
    assert before == after == [0, 0, 0]


def intrusions(engine: Engine, times: int) -> tuple[list[int], list[int]]:
    """Connections that a neighbour makes and should not: before, and after a flush and repair."""
    serve(engine, "web", "-p", "127.0.0.1:8090:80", "-p", "8091:80")
    address = engine.inspect("web")["NetworkSettings"]["IPAddress"]

    def made() -> list[int]:
        places = (("127.0.0.1", 8090), (LAN, 8090), (address, 80))
        return [reached(engine, where, port, times) for where, port in places]

    wait_until("the neighbour reaches what is published", lambda: reached(engine, LAN, 8091, 1))
    for command in (
        "add table inet seen",
        "add chain inet seen wire { type filter hook prerouting priority -310 ; }",
        'add rule inet seen wire iifname "out0" ip daddr 127.0.0.0/8 counter',
    ):
        engine.machine.run("nft", command)
    before = made()
    seen = engine.machine.run("nft", "list", "table", "inet", "seen").stdout
    assert not re.search(r"counter packets 0 ", seen), "the packets did arrive"
    engine.machine.run("nft", "delete", "table", "inet", "seen")
    whole = engine.machine.run("nft", "list", "ruleset").stdout.count("\n")
    engine.machine.run("nft", "flush", "ruleset")
    wait_until(
        "the filter is whole",
        lambda: engine.machine.run("nft", "list", "ruleset").stdout.count("\n") == whole,
        within_s=5,
    )
    return before, made()


def test_loopback_mutant(figure: list[str]) -> None:
    """Without the rule for martians the neighbour is in."""
    mutant = Mutant(
        "martians may pass",
        "networks/packets/packet_table.py",
        """"martians": ('iifname != "lo" ip daddr 127.0.0.0/8 drop',),""",
        '"martians": (),',
    )
    with mutated_engine(mutant) as engine, neighbour_of(engine):
        before, after = intrusions(engine, 10)
    figure.append(f"killed: {mutant.name} ({before[0]} and {after[0]} of 10 made)")
    assert before[0]
    assert after[0]


def test_advertisements_change_nothing(engine: Engine, size: Size, figure: list[str]) -> None:
    """N04: a container calls itself a router, and the host does not listen."""
    heard, before, after = advertised(engine, times := size.of(200, 20))
    figure.append(f"{heard} advertisements heard, routes and addresses as before")
    assert heard >= times
    assert after == before


def advertised(engine: Engine, times: int) -> tuple[int, list[str], list[str]]:
    """Advertisements heard by the host; where it would send packets before and afterwards."""
    engine.docker_ok("network", "create", "--ipv6", "six")
    engine.docker_ok("run", "-d", "--name", "liar", "--network", "six", "busybox", "sleep", "999")
    run = engine.machine.run
    for command in (
        "add table inet seen",
        "add chain inet seen heard { type filter hook input priority 0 ; }",
        "add rule inet seen heard icmpv6 type nd-router-advert counter",
    ):
        run("nft", command)

    def state() -> list[str]:
        """Where the host would send packets, and what it is called."""
        routes = run("ip", "-6", "route").stdout.splitlines()
        addresses = run("ip", "-6", "-o", "address", "show", "scope", "global").stdout
        far = [line for line in routes if line.startswith("default") or "2001:db8" in line]
        return [*far, *re.findall(r"inet6 (\S+)", addresses)]

    before = state()
    pid = engine.container_pid("liar")
    say = ("nsenter", "-t", str(pid), "-n", "python3", "-c", ADVERTISEMENTS)
    subprocess.run([*say, settled_link_local(pid), str(times)], check=True)
    heard = re.search(r"counter packets (\d+)", run("nft", "list", "table", "inet", "seen").stdout)
    run("nft", "delete", "table", "inet", "seen")
    assert heard
    return int(heard[1]), before, state()


def settled_link_local(pid: int) -> str:
    """The link-local address of a container's eth0, when it may be used."""
    show = ["nsenter", "-t", str(pid), "-n", "ip", "-6", "-o", "address", "show", "dev", "eth0"]

    def found() -> re.Match[str] | None:
        shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
        return re.search(r"(fe80:\S+)/64 (?!.*tentative)", shown)

    wait_until("the link-local address is settled", found)
    said = found()
    assert said
    return said[1]


@pytest.mark.parametrize(
    "mutant",
    [
        Mutant("the host listens", "networks/drivers/bridge.py",
               'accept_ra",\n            value="0"', 'accept_ra",\n            value="2"'),
    ],
    ids=lambda each: each.name,
)  # fmt: skip
def test_advertisements_mutant(mutant: Mutant, figure: list[str]) -> None:
    """With routers listened to on bridges, the host has another's prefix."""
    with mutated_engine(mutant) as engine:
        _heard, before, after = advertised(engine, 5)
    figure.append(f"killed: {mutant.name} ({len(set(after) - set(before))} routes and addresses)")
    assert after != before


CLAIMS = """
import socket, sys
bridge, own, victim, victim_mac, gateway, times = sys.argv[1:]
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0x0806))
binary = lambda mac: bytes.fromhex(mac.replace(":", ""))
def claim(sender, address, target, kind):
    # One that is about its own sender is believed at once (gratuitous).
    frame = binary(target) + binary(sender) + bytes.fromhex("0806000108000604" + kind)
    ends = binary(sender) + socket.inet_aton(address)
    link.send(frame + 2 * ends)
for _ in range(int(times)):
    for target in ("ff:ff:ff:ff:ff:ff", bridge, victim_mac):
        for kind in ("0001", "0002"):
            claim(own, victim, target, kind)   # the victim's address is mine
            claim(own, gateway, target, kind)  # and so is the gateway's
    claim(victim_mac, gateway, bridge, "0001")  # its MAC address is behind my port
"""
"""ARP (RFC 826) with somebody else's addresses: operation 1 asks, 2 answers."""


def test_claims_change_nothing(engine: Engine, size: Size, figure: list[str]) -> None:
    """N04: a container claims others' addresses, and the host goes on sending where they are."""
    claims, lost, before, after = claimed(engine, size.of(50, 10))
    figure.append(f"{claims} claims, {lost} requests lost, routes and neighbours as before")
    assert lost == 0
    assert after == before


def claimed(engine: Engine, rounds: int) -> tuple[int, int, list[str], list[str]]:
    """Claims made; requests to the victim's port lost; where the host sends before and after."""
    engine.docker_ok("network", "create", "flat")
    serve(engine, "victim", "--network", "flat", "-p", "8090:80")
    engine.docker_ok("run", "-d", "--name", "liar", "--network", "flat", "busybox", "sleep", "999")
    victim, liar = (
        engine.inspect(each)["NetworkSettings"]["Networks"]["flat"] for each in ("victim", "liar")
    )
    run = engine.machine.run
    bridge = f"br-{engine.docker_ok('network', 'inspect', '-f', '{{.Id}}', 'flat')[:12]}"
    bridge_mac = run("cat", f"/sys/class/net/{bridge}/address").stdout.strip()
    pid = str(engine.container_pid("liar"))

    def known_as(address: str, neighbours: str) -> str:
        """Which MAC address somebody takes for an address."""
        (known,) = (each for each in neighbours.splitlines() if each.startswith(f"{address} "))
        return known.split("lladdr ")[1].split()[0]

    def state() -> list[str]:
        """Where the host and the victim send: by routes, to MAC addresses, behind ports."""
        routes = run("ip", "route").stdout.splitlines()
        own = run("ip", "-4", "-o", "address", "show", "dev", bridge).stdout.split()[3]
        table = run("bridge", "fdb", "show", "br", bridge).stdout.splitlines()
        places = [each.split()[2] for each in table if each.startswith(victim["MacAddress"])]
        gateway = known_as(victim["Gateway"], engine.docker_ok("exec", "victim", "ip", "neigh"))
        itself = known_as(victim["IPAddress"], run("ip", "neighbour").stdout)
        return [*routes, own, itself, gateway, *places]

    assert answers(engine, 8090)
    before = state()
    lost = 0
    for _ in range(rounds):
        subprocess.run(
            ["nsenter", "-t", pid, "-n", "python3", "-c", CLAIMS, bridge_mac, liar["MacAddress"],
             victim["IPAddress"], victim["MacAddress"], liar["Gateway"], "4"],
            check=True,
        )  # fmt: skip
        lost += not answers(engine, 8090)
    return rounds * 4 * 13, lost, before, state()


@pytest.mark.parametrize(
    "mutant",
    [
        Mutant("who claims an address has it", "operations/network/neighbours.py",
               "virtual_links.set_neighbour(route, bridge, each)", "pass"),
        Mutant("ports are learnt from what comes", "operations/network/neighbours.py",
               "virtual_links.pin_mac_address(route, port, self.mac_address)", "pass"),
        Mutant("containers ask who their gateway is", "operations/network/neighbours.py",
               "virtual_links.set_neighbour(route, index, known)", "pass"),
    ],
    ids=lambda each: each.name,
)  # fmt: skip
def test_claims_mutant(mutant: Mutant, figure: list[str]) -> None:
    """Without any of the pins, what host and victim send each other goes to the liar."""
    with mutated_engine(mutant) as engine:
        _claims, lost, before, after = claimed(engine, 3)
    changed = sum(one != other for one, other in zip(before, after, strict=True))
    figure.append(f"killed: {mutant.name} ({lost} of 3 requests lost, {changed} places taken)")
    assert changed


@pytest.mark.parametrize("holder", ["a program", "a container", "a program on IPv6"])
def test_a_conflict_leaves_nothing_half_bound(engine: Engine, holder: str) -> None:
    """N10: the start fails and names the owner, the other port is free, and it can start later."""
    with ExitStack() as held:
        if holder == "a container":
            serve(engine, "first", "-p", "8090:80")
        else:
            held.enter_context(
                engine.machine.listen("::" if holder.endswith("IPv6") else "0.0.0.0", 8090)
            )
        engine.docker_ok("create", "--name", "late", "-p", "8091:80", "-p", "8090:80", "busybox",
                         "sh", "-c", SERVE)  # fmt: skip
        refused = engine.docker("start", "late")
        assert refused.returncode == 1
        assert "8090" in refused.stderr
        with engine.machine.listen("0.0.0.0", 8091):
            pass
        assert "8091" not in engine.machine.run("nft", "list", "ruleset").stdout
        engine.docker("rm", "-f", "first")
    engine.docker_ok("start", "late")
    wait_until("it answers", lambda: answers(engine, 8090) and answers(engine, 8091))


def answers(engine: Engine, port: int) -> bool:
    """Whether a page comes from a port of the host."""
    with suppress(OSError), engine.machine.connect("127.0.0.1", port) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        stream.settimeout(3)
        with stream.makefile("rb") as reply:
            return b"served" in reply.read()
    return False


def test_names_and_ports_without_the_daemon(engine: Engine, size: Size, figure: list[str]) -> None:
    """The daemon is killed again and again; no request by port and none by name is lost."""
    count = size.of(10_000, 300)
    engine.docker_ok("network", "create", "app")
    serve(engine, "web", "--network", "app", "-p", "8090:80")
    ask = f"i=0; while [ $i -lt {count} ]; do wget -qO- http://web/ || echo lost; i=$((i+1)); done"
    engine.docker_ok("run", "-d", "--name", "asks", "--network", "app", "busybox", "sh", "-c", ask)
    deaths = 0
    with Requests(engine, 8090) as by_port:
        while deaths < 2 or by_port.answered < count or is_running(engine, "asks"):
            engine.kill9()
            deaths += 1
            answered = by_port.answered
            wait_until(
                "requests are answered without a daemon",
                lambda seen=answered: by_port.answered > seen + 20 or by_port.lost,
                within_s=30,
            )
            engine.start()
            if by_port.lost:
                break
    said = engine.docker_ok("logs", "asks").splitlines()
    figure.append(
        f"{deaths} deaths, {by_port.answered} requests by port, {len(said)} by name,"
        f" {len(by_port.lost)} and {said.count('lost')} lost"
    )
    assert not by_port.lost
    assert said == ["served"] * count


def is_running(engine: Engine, name: str) -> bool:
    """Whether a container runs."""
    return bool(engine.inspect(name)["State"]["Running"])
