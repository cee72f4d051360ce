"""One network over several hosts: who is reached through the tunnel, and who is not.

    host-1 203.0.113.11 --+
    host-2 203.0.113.12 --+-- a switch
    host-3 203.0.113.13 --+

Each host is a network namespace with its part of the network; its containers are namespaces too.
"""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from kernel.networks.private_host import PrivateHost, enter, in_child, run, shell
from wherry.linux import netlink, nftables
from wherry.model.errors import ConnectionRefused, InvalidValue, NoCluster
from wherry.model.ids import NetworkId
from wherry.model.networks import (
    AddressRange,
    EndpointStatus,
    EndpointWish,
    Network,
    NetworkRequest,
    OverlayPlace,
    Peer,
)
from wherry.networks import Networks, connections, host_bridge
from wherry.networks.drivers import inside, overlay
from wherry.networks.foreign_filters import Barriers
from wherry.networks.made_network import MadeNetwork
from wherry.networks.option_values import LOCAL, VNI
from wherry.networks.overlay_segment import OverlaySegment

pytestmark = pytest.mark.kernel

T = TypeVar("T")
SUBNET = AddressRange(subnet="10.77.0.0/24", gateway="10.77.0.1")
SUBNET6 = AddressRange(subnet="fd77::/64", gateway="fd77::1")
TABLE = "wherry-test"


class Machine:
    """One host of several: a namespace on the switch, and its part of networks."""

    def __init__(self, host: PrivateHost, number: int) -> None:
        self._host, self.number = host, number
        self.namespace = host.namespace()
        self.address = f"203.0.113.{10 + number}"
        pid = self.namespace.split("/")[2]
        shell(
            f"ip link add port{number} type veth peer name lan netns {pid};"
            f"ip link set port{number} master switch up"
        )
        self.shell(
            f"ip link set lo up; ip address add {self.address}/24 dev lan; ip link set lan up"
        )
        self.inside(
            lambda: host_bridge.install_table(
                TABLE, (), allows_direct_routing=False, barriers=Barriers()
            )
        )
        self._containers = 0

    def inside(self, call: Callable[[], T]) -> T:
        """Call something in the host's namespace."""

        def calling() -> T:
            enter(self.namespace)
            return call()

        return in_child(calling)

    def shell(self, commands: str) -> str:
        """Shell commands on the host."""
        return shell(f"nsenter --net={self.namespace} sh -ec '{commands}'")

    def part_of(self, vni: int = 4097) -> MadeNetwork:
        """Its part of a network with a number."""
        network = Network(
            id=NetworkId(f"{vni:012}" + "0" * 52),
            name="net",
            driver="overlay",
            created_at_ns=0,
            ranges=(SUBNET, SUBNET6),
            options={VNI: str(vni), LOCAL: self.address},
        )
        settings = overlay.settings_of(network, table=TABLE, alias="wherry test")
        return MadeNetwork(network, OverlaySegment(network.id, settings))

    def make(self, part: MadeNetwork) -> None:
        """Its bridge and its tunnel, known to the packet filter."""
        self._tell_filter(part, host_bridge.admit)
        self.inside(part.segment.make)

    def take_down(self, part: MadeNetwork) -> None:
        """Both are gone, and forgotten."""
        self.inside(lambda: part.segment.take_down(()))
        self._tell_filter(part, host_bridge.dismiss)

    def _tell_filter(self, part: MadeNetwork, tell: Callable[..., None]) -> None:
        def telling() -> None:
            tell(part.segment.bridge, packet_filter=nftables.open_filter_socket())

        self.inside(telling)

    def container(self, part: MadeNetwork, name: str) -> "Container":
        """A container on this host's part of a network; it serves its name."""
        self._containers += 1
        last = f"{self.number}{self._containers}"
        wish = EndpointWish(
            network="net", ipv4_address=f"10.77.0.{last}", ipv6_address=f"fd77::{last}"
        )
        endpoint = part.lease(wish, "", lambda prefix: f"{prefix}0")
        namespace = self._host.namespace()
        link, addresses = part.plans(endpoint, namespace, "test")
        descriptor = in_namespace(namespace, netlink.open_socket)
        try:
            self.inside(
                lambda: (
                    connections.connect(
                        (inside.loopback_up(namespace), *link, *addresses),
                        namespace_path=namespace,
                        container_netlink=descriptor,
                    )
                    and None
                )
            )
        finally:
            os.close(descriptor)
        self._host.serve(namespace, 80, name)
        return Container(endpoint, namespace, self.address)


class Container:
    """One end of a conversation."""

    def __init__(self, endpoint: EndpointStatus, namespace: str, host: str) -> None:
        self.endpoint, self.namespace = endpoint, namespace
        self.peer = Peer(
            addresses=(endpoint.address, endpoint.ipv6_address),
            mac_address=endpoint.mac_address,
            host=host,
        )


def in_namespace(namespace: str, call: Callable[[], int]) -> int:
    """A descriptor that was opened in a namespace: a thread's, so that it stays ours."""
    import threading

    found: list[int] = []

    def opening() -> None:
        enter(namespace)
        found.append(call())

    thread = threading.Thread(target=opening)
    thread.start()
    thread.join()
    return found[0]


def machines(host: PrivateHost, count: int) -> list[Machine]:
    """Hosts on one switch."""
    shell("ip link add switch type bridge; ip link set switch up")
    return [Machine(host, number) for number in range(1, count + 1)]


def tell(machine: Machine, part: MadeNetwork, others: Sequence[Container]) -> None:
    """Fill a host's table of peers."""
    segment = part.segment
    assert isinstance(segment, OverlaySegment)
    machine.inside(lambda: segment.set_peers([each.peer for each in others]))


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
