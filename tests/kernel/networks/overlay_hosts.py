"""Hosts of an overlay: network namespaces on one switch, with their parts of networks.

    host-1 203.0.113.11 --+
    host-2 203.0.113.12 --+-- a switch
    host-3 203.0.113.13 --+

Each host is a network namespace with its part of the network; its containers are namespaces too.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from kernel.networks.private_host import PrivateHost, enter, in_child, shell
from wherry.linux import netlink, nftables
from wherry.model.ids import NetworkId
from wherry.model.networks import AddressRange, EndpointStatus, EndpointWish, Network, Peer
from wherry.networks import connections
from wherry.networks.drivers import inside, overlay
from wherry.networks.made_network import MadeNetwork
from wherry.networks.option_values import LOCAL, VNI
from wherry.networks.packets.foreign_filters import Barriers
from wherry.networks.segments import host_bridge
from wherry.networks.segments.overlay import OverlaySegment

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

    def part_of(self, vni: int = 4097, **options: str) -> MadeNetwork:
        """Its part of a network with a number."""
        network = Network(
            id=NetworkId(f"{vni:012}" + "0" * 52),
            name="net",
            driver="overlay",
            created_at_ns=0,
            ranges=(SUBNET, SUBNET6),
            options={VNI: str(vni), LOCAL: self.address, **options},
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
