"""Who reaches whom: one matrix, on a host of its own with a neighbour on its LAN."""

import socket

import pytest

from kernel.networks.private_host import LAN, NEIGHBOUR, PrivateHost, enter, in_child, run, shell
from wherry.model.containers import NetworkSpec
from wherry.model.networks import Port, PortBinding

pytestmark = pytest.mark.kernel

GATEWAY = "172.17.0.1"


def publishing(*bindings: PortBinding) -> NetworkSpec:
    """A container with published ports."""
    return NetworkSpec(bindings=bindings)


def port(host_port: int, *, address: str = "", protocol: str = "tcp") -> PortBinding:
    """The container's port 80 on a port of the host."""
    return PortBinding(port=Port(80, protocol), host_address=address, host_port=host_port)


def test_published_on_every_address() -> None:
    """Loopback of both families, the host's addresses, the neighbour, other containers, itself."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        web = await networks.attach(host.request("web", publishing(port(8080))))
        other = await networks.attach(host.request("other"))
        inner = web.endpoints[0].address
        host.serve(web.namespace_path, 80, "web")
        there, beside = other.namespace_path, web.namespace_path

        assert host.ask("127.0.0.1", 8080) == ("web", GATEWAY)
        assert host.ask("127.0.0.9", 8080) == ("web", GATEWAY)
        assert host.ask("::1", 8080) == ("web", GATEWAY)
        assert host.ask(LAN, 8080) == ("web", LAN)
        assert host.ask(inner, 80) == ("web", GATEWAY)
        assert host.ask(LAN, 8080, namespace=host.neighbour) == ("web", NEIGHBOUR)
        assert host.ask(inner, 80, namespace=there) == ("web", other.endpoints[0].address)
        for address in (GATEWAY, LAN):
            assert host.ask(address, 8080, namespace=there) == ("web", GATEWAY)
            assert host.ask(address, 8080, namespace=beside) == ("web", GATEWAY), "hairpin"
        await networks.remove_everything()
        assert host.ask("127.0.0.1", 8080) is None

    run(scenario)


def test_nothing_else_gets_in() -> None:
    """A neighbour that routes to the subnet over the host reaches neither kind of port (N02)."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        web = await networks.attach(host.request("web", publishing(port(8080))))
        inner = web.endpoints[0].address
        for number in (80, 81):
            host.serve(web.namespace_path, number, "web")
        host.inside(host.neighbour, f"ip route add 172.17.0.0/16 via {LAN}")
        assert host.asks(
            (inner, 80, host.neighbour), (inner, 81, host.neighbour), (LAN, 8080, host.neighbour)
        ) == [None, None, ("web", NEIGHBOUR)]
        await networks.remove_everything()

    run(scenario)


def test_published_on_loopback_stays_there() -> None:
    """Neither by the host's address nor by packets for 127.0.0.1 off the wire (N01)."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        spec = publishing(port(8080, address="127.0.0.1"))
        web = await networks.attach(host.request("web", spec))
        other = await networks.attach(host.request("other"))
        host.serve(web.namespace_path, 80, "web")
        shell("sysctl -qw net.ipv4.conf.lan.route_localnet=1")  # the host can be that careless
        host.inside(
            host.neighbour,
            f"sysctl -qw net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo;"
            f"ip route add 127.0.0.1 via {LAN}; ip rule add pref 0 lookup main;"
            f"ip rule add pref 10 lookup local; ip rule del pref 0 lookup local",
        )
        host.inside(
            other.namespace_path,
            "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo;"
            "ip route add 127.0.0.1 via 172.17.0.1; ip rule add pref 0 lookup main;"
            "ip rule add pref 10 lookup local; ip rule del pref 0 lookup local",
        )
        assert host.ask("127.0.0.1", 8080) == ("web", GATEWAY)
        there = other.namespace_path
        assert host.asks((LAN, 8080, host.neighbour), (GATEWAY, 8080, there)) == [None, None]
        before = _dropped_martians(host)
        assert host.asks(
            ("127.0.0.1", 8080, host.neighbour), ("127.0.0.1", 8080, there)
        ) == [None, None]  # fmt: skip
        assert _dropped_martians(host) > before, "the packets did arrive"
        await networks.remove_everything()

    run(scenario)


def _dropped_martians(host: PrivateHost) -> int:
    """How many packets for 127/8 the host has got from elsewhere, by a counter of our own."""
    del host
    table = "inet witness"
    chain = f"{table} seen {{ type filter hook prerouting priority -310; }}"
    rule = f'{table} seen iifname != "lo" ip daddr 127.0.0.0/8 counter'
    commands = f"add table {table}\nadd chain {chain}\nadd rule {rule}"
    shell(f"nft list table {table} >/dev/null 2>&1 || nft '{commands}'")
    words = shell(f"nft list table {table}").split()
    return int(words[words.index("packets") + 1])


def test_out_of_the_bridge_is_masqueraded() -> None:
    """Containers, and a veth that somebody put on the bridge by hand, reach the neighbour."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        box = await networks.attach(host.request("box"))
        by_hand = host.namespace()
        pid = by_hand.split("/")[2]
        shell(
            f"""
            ip link add byhand type veth peer name eth0 netns {pid}
            ip link set byhand master docker0; ip link set byhand up
            nsenter -t {pid} -n ip address add 172.17.200.9/16 dev eth0
            nsenter -t {pid} -n ip link set eth0 up
            nsenter -t {pid} -n ip route add default via {GATEWAY}
            """
        )
        host.serve(host.neighbour, 9000, "neighbour")
        host.serve(by_hand, 80, "by-hand")
        assert host.ask(NEIGHBOUR, 9000, namespace=box.namespace_path) == ("neighbour", LAN)
        assert host.ask(NEIGHBOUR, 9000, namespace=by_hand) == ("neighbour", LAN)
        seen = host.ask("172.17.200.9", 80, namespace=box.namespace_path)
        assert seen == ("by-hand", box.endpoints[0].address)
        await networks.remove_everything()

    run(scenario)


def test_udp() -> None:
    """Every way that TCP has; each answer comes from where the question went."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        spec = publishing(port(5353, protocol="udp"))
        dns = await networks.attach(host.request("dns", spec))
        other = await networks.attach(host.request("other"))
        host.serve(dns.namespace_path, 80, "dns", protocol="udp")

        def ask(address: str, namespace: str = "") -> tuple[str, str] | None:
            return host.ask(address, 5353, namespace=namespace, protocol="udp")

        assert ask("127.0.0.1") == ("dns", GATEWAY)
        assert ask("::1") == ("dns", GATEWAY)
        assert ask(LAN) == ("dns", LAN)
        assert ask(LAN, host.neighbour) == ("dns", NEIGHBOUR)
        assert ask(GATEWAY, other.namespace_path) == ("dns", GATEWAY)
        assert ask(GATEWAY, dns.namespace_path) == ("dns", GATEWAY)
        await networks.remove_everything()

    run(scenario)


def test_a_udp_client_finds_the_new_container() -> None:
    """A client that keeps its port is not sent to the address of the old one (N09)."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        spec = publishing(port(5353, protocol="udp"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("0.0.0.0", 40000))
            client.settimeout(1)
            for name in ("first", "second"):
                sandbox = await networks.attach(host.request(name, spec))
                host.serve(sandbox.namespace_path, 80, name, protocol="udp")
                client.sendto(b"x", (LAN, 5353))
                assert client.recv(100).split()[0] == name.encode()
                await networks.detach(host.request(name).container_id)
                client.sendto(b"lost", (LAN, 5353))
        await networks.remove_everything()

    run(scenario)


def test_without_bridge_netfilter() -> None:
    """The same answers when bridged frames don't pass the packet filter."""

    async def scenario(host: PrivateHost) -> None:
        shell("sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true")
        networks = host.networks()
        await networks.open()
        web = await networks.attach(host.request("web", publishing(port(8080))))
        other = await networks.attach(host.request("other"))
        host.serve(web.namespace_path, 80, "web")
        for namespace in (web.namespace_path, other.namespace_path):
            assert host.ask(GATEWAY, 8080, namespace=namespace) == ("web", GATEWAY)
        await networks.remove_everything()

    run(scenario)


def test_no_ipv6_in_containers_or_from_them() -> None:
    """No address of the other family inside but ::1, none on the bridge (N04, N06)."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        box = await networks.attach(host.request("box"))

        def addresses() -> str:
            enter(box.namespace_path)
            with open("/proc/net/if_inet6", encoding="ascii") as file:
                return file.read()

        assert [line.split()[-1] for line in in_child(addresses).splitlines()] == ["lo"]
        with open("/proc/net/if_inet6", encoding="ascii") as file:
            assert "docker0" not in file.read()
        with open("/proc/sys/net/ipv6/conf/docker0/accept_ra", encoding="ascii") as file:
            assert file.read().strip() == "0"
        await networks.remove_everything()

    run(scenario)
