"""Addresses of links, and routes: rtnetlink's other half beside the links themselves.

Sources of the numbers: linux/rtnetlink.h, linux/if_addr.h. rtnetlink(7).
"""

import socket
import struct
from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

from wherry.kit.values import dataclass
from wherry.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    U32,
    NetlinkSocket,
    attribute,
    attributes,
    number_attribute,
)

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_TABLE = 1, 4, 5, 15
RT_TABLE_MAIN = 254
RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST = 3, 0, 1
RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 253, 255

IFADDRMSG = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")

Interface = IPv4Interface | IPv6Interface
Gateway = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
_EVERYTHING: dict[int, Subnet] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the main table."""

    destination: IPv4Network | IPv6Network
    link_index: int
    """Zero: none, as for an unreachable route."""


def add_address(route: NetlinkSocket, index: int, address: Interface) -> None:
    """`ip address add ADDRESS dev INDEX`; an IPv6 one `nodad`: it was leased, so it is ours.

    Raises: KernelError (EEXIST).
    """
    _change_address(route, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address)


def delete_address(route: NetlinkSocket, index: int, address: Interface) -> None:
    """`ip address delete ADDRESS dev INDEX`. Raises: KernelError (EADDRNOTAVAIL)."""
    _change_address(route, RTM_DELADDR, 0, index, address)


def _change_address(
    route: NetlinkSocket, kind: int, flags: int, index: int, address: Interface
) -> None:
    network = address.network
    family = _FAMILIES[address.version]
    own_flags = IFA_F_NODAD if address.version == 6 else 0
    payload = IFADDRMSG.pack(family, network.prefixlen, own_flags, RT_SCOPE_UNIVERSE, index)
    payload += attribute(IFA_LOCAL, address.ip.packed) + attribute(IFA_ADDRESS, address.ip.packed)
    if address.version == 4 and network.prefixlen < 31:
        payload += attribute(IFA_BROADCAST, network.broadcast_address.packed)
    name = "RTM_NEWADDR" if kind == RTM_NEWADDR else "RTM_DELADDR"
    route.request(kind, flags, payload, name=name, operands=(str(address), index))


def addresses(route: NetlinkSocket, index: int, *, version: int = 4) -> list[Interface]:
    """The addresses of a device, of one family. Raises: KernelError."""
    found: list[Interface] = []
    wanted = IFADDRMSG.pack(_FAMILIES[version], 0, 0, 0, 0)
    for body in route.dump(RTM_GETADDR, wanted, name="RTM_GETADDR"):
        _family, prefix_length, _flags, _scope, link = IFADDRMSG.unpack_from(body)
        parts = attributes(body[IFADDRMSG.size :])
        local = parts.get(IFA_LOCAL, parts.get(IFA_ADDRESS))
        if link == index and local is not None:
            found.append(ip_interface((local, prefix_length)))
    return found


def add_default_route(route: NetlinkSocket, gateway: Gateway) -> None:
    """`ip route add default via GATEWAY`. Raises: KernelError (EEXIST, ENETUNREACH)."""
    everything = _EVERYTHING[gateway.version]
    _route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, everything, gateway, 0)


def delete_default_route(route: NetlinkSocket, gateway: Gateway) -> None:
    """`ip route delete default via GATEWAY`. Raises: KernelError (ESRCH)."""
    _route(route, RTM_DELROUTE, 0, _EVERYTHING[gateway.version], gateway, 0)


def replace_default_route(
    route: NetlinkSocket, *, version: int, gateway: Gateway | None, index: int = 0
) -> None:
    """`ip route replace default via GATEWAY`, or `dev LINK`. Raises: KernelError (ENETUNREACH)."""
    everything = _EVERYTHING[version]
    _route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, everything, gateway, index)


def add_route(
    route: NetlinkSocket, destination: Subnet, *, gateway: Gateway | None, index: int
) -> None:
    """`ip route add DESTINATION [via GATEWAY] dev LINK`. Raises: KernelError (EEXIST, …)."""
    _route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, destination, gateway, index)


def delete_route(route: NetlinkSocket, destination: Subnet, *, index: int) -> None:
    """`ip route delete DESTINATION dev LINK`. Raises: KernelError (ESRCH)."""
    _route(route, RTM_DELROUTE, 0, destination, None, index)


def _route(
    route: NetlinkSocket,
    kind: int,
    flags: int,
    destination: Subnet,
    gateway: Gateway | None,
    index: int,
) -> None:
    is_to_link = gateway is None and destination.version == 4
    scope = RT_SCOPE_LINK if is_to_link else RT_SCOPE_UNIVERSE
    if kind == RTM_DELROUTE:
        scope = RT_SCOPE_NOWHERE  # whichever it has (fib_table_delete)
    family, length = _FAMILIES[destination.version], destination.prefixlen
    payload = RTMSG.pack(family, length, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    if length:
        payload += attribute(RTA_DST, destination.network_address.packed)
    if gateway is not None:
        payload += attribute(RTA_GATEWAY, gateway.packed)
    if index:
        payload += number_attribute(RTA_OIF, index)
    name = "RTM_NEWROUTE" if kind == RTM_NEWROUTE else "RTM_DELROUTE"
    shown = (str(destination), str(gateway or index))
    route.request(kind, flags, payload, name=name, operands=shown)


def routes(route: NetlinkSocket, *, version: int = 4) -> list[Route]:
    """The routes of the main table, of one family. Raises: KernelError."""
    return [each for each, _gateway in _main_table(route, version)]


def default_routes(route: NetlinkSocket, *, version: int) -> "list[Way]":
    """Where everything goes that has no better route. Raises: KernelError."""
    return [
        Way(link_index=each.link_index, gateway=gateway)
        for each, gateway in _main_table(route, version)
        if each.destination.prefixlen == 0 and each.link_index
    ]


def _main_table(route: NetlinkSocket, version: int) -> Iterator[tuple[Route, Gateway | None]]:
    wanted = RTMSG.pack(_FAMILIES[version], 0, 0, 0, 0, 0, 0, 0, 0)
    any_address = bytes(4 if version == 4 else 16)
    for body in route.dump(RTM_GETROUTE, wanted, name="RTM_GETROUTE"):
        prefix_length, table = body[1], body[4]
        parts = attributes(body[RTMSG.size :])
        if RTA_TABLE in parts:
            table = U32.unpack(parts[RTA_TABLE])[0]
        if table == RT_TABLE_MAIN:
            destination = ip_network((parts.get(RTA_DST, any_address), prefix_length))
            yield Route(destination=destination, link_index=_link_of(parts)), _gateway_of(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The route that the kernel takes to one address."""

    link_index: int
    gateway: Gateway | None
    """None: the address is on the link itself."""


def way_to(route: NetlinkSocket, address: Gateway) -> Way:
    """`ip route get ADDRESS`. Raises: KernelError (ENETUNREACH, EHOSTUNREACH, EACCES)."""
    payload = RTMSG.pack(
        _FAMILIES[address.version], address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0
    ) + attribute(RTA_DST, address.packed)
    body = route.ask(RTM_GETROUTE, payload, name="RTM_GETROUTE", operands=(str(address),))
    parts = attributes(body[RTMSG.size :])
    return Way(link_index=_link_of(parts), gateway=_gateway_of(parts))


def _link_of(parts: dict[int, bytes]) -> int:
    return int(U32.unpack(parts[RTA_OIF])[0]) if RTA_OIF in parts else 0


def _gateway_of(parts: dict[int, bytes]) -> Gateway | None:
    return ip_address(parts[RTA_GATEWAY]) if RTA_GATEWAY in parts else None
