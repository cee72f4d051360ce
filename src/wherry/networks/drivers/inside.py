"""What every driver does in a container's namespace, once the container has a link there."""

from ipaddress import IPv4Interface, IPv6Interface

from wherry.kit.values import dataclass
from wherry.model.networks import EndpointStatus
from wherry.operations.network.links import AssignAddress, BringUp
from wherry.operations.network.routes import AddDefaultRoute, AddRoute, TurnDefaultRoute
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


_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}


def way_out_plan(endpoint: EndpointStatus, namespace_path: str) -> Plan:
    """The default routes that lead through an endpoint: by a gateway, or out of its link."""
    return tuple(
        default_route(endpoint, version, namespace_path)
        for version in (4, 6)
        if leads_out(endpoint, version)
    )


def leads_out(endpoint: EndpointStatus, version: int) -> bool:
    """Whether the container's default route of a version of IP leads through it."""
    if version == 6:
        return endpoint.is_ipv6_way_out
    return endpoint.is_way_out and endpoint.can_lead_out(4)


def default_route(endpoint: EndpointStatus, version: int, namespace_path: str) -> Operation:
    """A default route through an endpoint."""
    gateway = _gateway(endpoint, version)
    if not gateway:
        return AddRoute(
            why="what the link stands on does the routing",
            destination=_EVERYTHING[version],
            interface=endpoint.interface,
            namespace=namespace_path,
        )
    return AddDefaultRoute(
        why="the world beyond the subnet is reached through its gateway",
        gateway=gateway,
        namespace=namespace_path,
    )


def turned_route(
    before: EndpointStatus, after: EndpointStatus, version: int, namespace_path: str
) -> Operation:
    """The default route through one endpoint, turned to lead through another."""
    old, new = _gateway(before, version), _gateway(after, version)
    return TurnDefaultRoute(
        why="another network is the container's way out now",
        version=version,
        old_gateway=old,
        old_interface="" if old else before.interface,
        gateway=new,
        interface="" if new else after.interface,
        namespace=namespace_path,
    )


def _gateway(endpoint: EndpointStatus, version: int) -> str:
    """Empty: a default route needs none."""
    return endpoint.gateway if version == 4 else endpoint.ipv6_gateway


def loopback_up(namespace_path: str) -> BringUp:
    """A new network namespace has a loopback link that is down."""
    return BringUp(
        why="programs expect 127.0.0.1 to work", interface="lo", namespace=namespace_path
    )
