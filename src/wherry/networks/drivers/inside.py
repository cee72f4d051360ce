"""What every driver does in a container's namespace, once the container has a link there."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from wherry.operations.links import AddDefaultRoute, AssignAddress, BringUp
from wherry.operations.plan import Operation, Plan

INTERFACE = "eth0"
"""What a container's first interface is called inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """What a container on a network gets."""

    namespace_path: str
    host_interface: str
    """The end of its link on the host, where there is one."""
    interface: str = INTERFACE
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    mac_address: str
    why: str = "--network bridge, the default"


def address_plan(endpoint: EndpointPlan) -> Plan:
    """Give the link inside its addresses and switch it on."""
    inside = endpoint.namespace_path
    given: list[Operation] = [
        AssignAddress(
            why=f"an address of {each.network}",
            interface=endpoint.interface,
            address=str(each),
            namespace=inside,
        )
        for each in endpoint.addresses
    ]
    on = BringUp(
        why="the container's end carries traffic", interface=endpoint.interface, namespace=inside
    )
    return (*given, on)


def way_out_plan(
    gateways: Iterable[IPv4Address | IPv6Address], namespace_path: str, *, why: str
) -> Plan:
    """A default route for each version of IP, by the first of its gateways."""
    first: dict[int, IPv4Address | IPv6Address] = {}
    for each in gateways:
        first.setdefault(each.version, each)
    return tuple(
        AddDefaultRoute(why=why, gateway=str(first[version]), namespace=namespace_path)
        for version in sorted(first)
    )


def loopback_up(namespace_path: str) -> BringUp:
    """A new network namespace has a loopback link that is down."""
    return BringUp(
        why="programs expect 127.0.0.1 to work", interface="lo", namespace=namespace_path
    )
