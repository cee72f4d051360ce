"""One network over several hosts: who is reached through the tunnel, and who is not."""

import pytest

from kernel.networks.overlay_hosts import SUBNET, Container, machines, tell
from kernel.networks.private_host import PrivateHost, run, shell
from wherry.model.errors import InvalidValue, NoCluster
from wherry.model.errors.networks import ConnectionRefused
from wherry.model.networks import AddressRange, NetworkRequest, OverlayPlace, Peer
from wherry.networks import Networks

pytestmark = pytest.mark.kernel


def test_containers_of_three_hosts_meet() -> None:
    """By both families; whom the table does not name is not reached; nothing is flooded."""

    async def scenario(host: PrivateHost) -> None:
        hosts = machines(host, 3)
        parts = [each.part_of() for each in hosts]
        looking = "ip -o link | cut -d: -f2 | grep -v veth; nft list ruleset"
        before = [each.shell(looking) for each in hosts]
        for each, part in zip(hosts, parts, strict=True):
            each.make(part)
        one, two, three = (
            each.container(part, f"c{each.number}")
            for each, part in zip(hosts, parts, strict=True)
        )
        neighbour = hosts[0].container(parts[0], "next")

        def reached(source: Container, target: Container) -> bool:
            return host.ask(target.endpoint.address, 80, namespace=source.namespace) is not None

        assert reached(one, neighbour)
        assert not reached(one, two), "nobody was named yet"
        tell(hosts[0], parts[0], (two,))
        tell(hosts[1], parts[1], (one, three))
        tell(hosts[2], parts[2], (two,))
        assert host.ask(two.endpoint.address, 80, namespace=one.namespace) == (
            "c2",
            one.endpoint.address,
        )
        assert reached(three, two)
        assert not reached(one, three)
        six = two.endpoint.ipv6_address
        host.inside(one.namespace, f"busybox ping -6 -c 1 -W 3 {six}")
        host.inside(one.namespace, f"busybox ping -c 1 -W 3 -s 4000 {two.endpoint.address}")
        assert "mtu 1450" in host.inside(one.namespace, "ip link show eth0")
        tell(hosts[0], parts[0], (three,))
        tell(hosts[2], parts[2], (one,))
        assert reached(one, three)
        assert not reached(one, two)
        for each, part in zip(hosts, parts, strict=True):
            each.inside(part.segment.repair)  # what is there stays, the table too
        assert reached(one, three)
        for each, part in zip(hosts, parts, strict=True):
            each.take_down(part)
        after = [each.shell(looking) for each in hosts]
        assert after == before

    run(scenario)


def test_networks_with_one_subnet_are_apart() -> None:
    """By their number on the wire; and the host is no neighbour of its containers."""

    async def scenario(host: PrivateHost) -> None:
        hosts = machines(host, 2)
        blue = [each.part_of(100) for each in hosts]
        red = hosts[1].part_of(200)
        for each, part in ((hosts[0], blue[0]), (hosts[1], blue[1]), (hosts[1], red)):
            each.make(part)
        asker = hosts[0].container(blue[0], "asker")
        target = hosts[1].container(red, "red")
        tell(hosts[0], blue[0], (target,))
        tell(hosts[1], red, (asker,))
        assert host.ask(target.endpoint.address, 80, namespace=asker.namespace) is None
        host.serve(hosts[0].namespace, 81, "host")
        hosts[0].shell("sysctl -qw net.ipv4.ip_forward=1")
        host.inside(asker.namespace, "ip route add default dev eth0")
        assert host.ask(hosts[0].address, 81, namespace=asker.namespace) is None

    run(scenario)


def test_an_engine_has_its_part() -> None:
    """A network whose peers are told; it outlives the engine; only a cluster can have one."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        before = shell("ip -o link | cut -d: -f2; nft list ruleset")
        request = NetworkRequest(name="over", ranges=(SUBNET,))
        with pytest.raises(NoCluster):
            await networks.create(NetworkRequest(name="mine", driver="overlay"))
        place = OverlayPlace(vni=300, local="203.0.113.1")
        network = await networks.create_overlay(request, place)
        assert (network.driver, network.scope) == ("overlay", "swarm")
        peer = Peer(addresses=("10.77.0.9",), mac_address="02:42:0a:4d:00:09", host="203.0.113.9")
        await networks.set_peers(network, (peer,))
        tunnel = f"vx-{network.id[:12]}"
        assert "dst 203.0.113.9" in shell(f"bridge fdb show dev {tunnel}")
        assert "10.77.0.9 lladdr 02:42:0a:4d:00:09" in shell(f"ip neighbour show dev {tunnel}")
        await refusals(networks, place)
        await networks.close()
        again = host.networks()
        await again.open()
        assert "dst 203.0.113.9" in shell(f"bridge fdb show dev {tunnel}")
        await again.set_peers(network, ())
        assert "dst" not in shell(f"bridge fdb show dev {tunnel}")
        await again.remove(network)
        assert shell("ip -o link | cut -d: -f2; nft list ruleset") == before
        await again.remove_everything()

    run(scenario)


async def refusals(networks: Networks, place: OverlayPlace) -> None:
    """What no overlay can be."""
    other = AddressRange(subnet="10.78.0.0/24")
    with pytest.raises(ConnectionRefused):
        await networks.create_overlay(NetworkRequest(name="same", ranges=(other,)), place)
    for vni, local in ((0, "203.0.113.1"), (1 << 24, "203.0.113.1"), (7, "nowhere")):
        wrong = OverlayPlace(vni=vni, local=local)
        with pytest.raises(InvalidValue):
            await networks.create_overlay(NetworkRequest(name="bad", ranges=(other,)), wrong)
    (bridge,) = [each for each in networks.list() if each.name == "bridge"]
    with pytest.raises(ConnectionRefused):
        await networks.set_peers(bridge, ())
