"""What every driver does in a container's namespace, once the container has a link there."""

from ipaddress import IPv4Interface, IPv6Interface

from wherry.kit.values import dataclass
from wherry.model.networks import EndpointStatus
from wherry.operations.network.links import AddDefaultRoute, AssignAddress, BringUp
from wherry.operations.network.moved_links import AddRoute
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
    link_local: tuple[IPv4Interface | IPv6Interface, ...] = ()
    mac_address: str
    link: str = ""
    """A link of the host that a plugin made for it, to be moved inside."""
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
    given += (
        AssignAddress(
            why="--link-local-ip",
            interface=endpoint.interface,
            address=str(each),
            namespace=inside,
        )
        for each in endpoint.link_local
    )
    on = BringUp(
        why="the container's end carries traffic", interface=endpoint.interface, namespace=inside
    )
    return (*given, on)


def way_out_plan(endpoint: EndpointStatus, namespace_path: str) -> Plan:
    """The default routes that lead through an endpoint: by a gateway, or out of its link."""
    leading = (
        (endpoint.is_way_out and endpoint.can_lead_out(4), "0.0.0.0/0", endpoint.gateway),
        (endpoint.is_ipv6_way_out, "::/0", endpoint.ipv6_gateway),
    )
    return tuple(
        AddDefaultRoute(
            why="the world beyond the subnet is reached through its gateway",
            gateway=gateway,
            namespace=namespace_path,
        )
        if gateway
        else AddRoute(
            why="what the link stands on does the routing",
            destination=everything,
            interface=endpoint.interface,
            namespace=namespace_path,
        )
        for leads, everything, gateway in leading
        if leads
    )


def loopback_up(namespace_path: str) -> BringUp:
    """A new network namespace has a loopback link that is down."""
    return BringUp(
        why="programs expect 127.0.0.1 to work", interface="lo", namespace=namespace_path
    )
