"""Where the default network is: its bridge's name, its subnets, and what the operator decided.

The name is the operator's, or the first of a few that is free. The IPv4 subnet is the operator's
(`--bip`, `--fixed-cidr`), else what the bridge has from an engine before, else the first of the
pools that the host has no route into. There is an IPv6 subnet where `--ipv6` asks for one:
the operator's, else of the engine's own unique local addresses.
"""

import os
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network

from wherry.kit.values import replace
from wherry.linux import addressing, netlink, network_links
from wherry.model.errors import InvalidField
from wherry.model.networks import AddressRange
from wherry.networks.addresses.pools import Subnet, choose_subnet
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.settings import NetworkSettings

_CANDIDATES = ("docker0", *(f"wherry{number}" for number in range(10)))
_GATEWAY = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}
"""What Docker calls a reserved address that is the containers' gateway."""


def find(
    wanted: NetworkSettings, *, alias: str, pools: Sequence[tuple[Subnet, int]]
) -> BridgeSettings:
    """The default bridge as it is to be. Blocking. Raises: InvalidField; SubnetsExhausted."""
    if wanted.bridge and not bridge.is_valid_name(wanted.bridge):
        raise InvalidField("bridge", wanted.bridge, "must be the name of a network interface")
    descriptor = netlink.open_socket()
    try:
        route = netlink.NetlinkSocket(descriptor)
        name, link = _choose(route, wanted.bridge, alias)
        if link is not None and link.kind != "bridge":
            raise InvalidField("bridge", name, "is not a bridge")
        ranges = [_ipv4_range(route, link, wanted, pools)]
        if wanted.has_ipv6:
            ranges.append(_ipv6_range(wanted, pools))
    finally:
        os.close(descriptor)
    gateways = {4: wanted.default_gateway, 6: wanted.default_gateway_v6}
    return BridgeSettings(
        name=name,
        ranges=tuple(_with_outward(each, gateways) for each in ranges),
        alias=alias,
        table=f"wherry-{name}",
        mtu=wanted.mtu,
        may_meet=wanted.may_meet,
        masqueraded=frozenset({4, 6}) if wanted.is_masqueraded else frozenset(),
        outward=tuple(filter(None, gateways.values())),
        host_addresses=(wanted.host_address,) if wanted.host_address else (),
        allows_direct_routing=wanted.allows_direct_routing,
        forwards=wanted.forwards,
        is_filtered=wanted.filters,
        why_made="containers of the default network are ports of a bridge",
    )


def _choose(
    route: netlink.NetlinkSocket, name: str, alias: str
) -> tuple[str, network_links.Link | None]:
    if name:
        return name, network_links.find_link(route, name)
    links = {link.name: link for link in network_links.links(route)}
    for candidate in _CANDIDATES:
        if candidate in links and links[candidate].alias == alias:
            return candidate, links[candidate]
    for candidate in _CANDIDATES:
        if candidate not in links:
            return candidate, None
    raise InvalidField("bridge", "", "no default name is free; choose one with --bridge")


def _ipv4_range(
    route: netlink.NetlinkSocket,
    link: network_links.Link | None,
    wanted: NetworkSettings,
    pools: Sequence[tuple[Subnet, int]],
) -> AddressRange:
    part = _part("fixed-cidr", wanted.fixed_cidr, version=4)
    present = addressing.addresses(route, link.index) if link else []
    if wanted.bip:
        return _range(parse_bip("bip", wanted.bip, version=4), part, "fixed-cidr")
    if present and (part is None or part.subnet_of(present[0].network)):  # type: ignore[arg-type]
        return _range(present[0], part, "fixed-cidr")
    subnet = part or choose_subnet(_routed(route, besides=link), pools)
    return _range(ip_interface(f"{subnet[1]}/{subnet.prefixlen}"), part, "fixed-cidr")


def _ipv6_range(wanted: NetworkSettings, pools: Sequence[tuple[Subnet, int]]) -> AddressRange:
    part = _part("fixed-cidr-v6", wanted.fixed_cidr_v6, version=6)
    if wanted.bip6:
        return _range(parse_bip("bip6", wanted.bip6, version=6), part, "fixed-cidr-v6")
    subnet = part or choose_subnet((), pools, ipv6=True)
    return _range(ip_interface(f"{subnet[1]}/{subnet.prefixlen}"), part, "fixed-cidr-v6")


def _range(address: addressing.Interface, part: Subnet | None, field: str) -> AddressRange:
    subnet = address.network
    if part is not None and not part.subnet_of(subnet):  # type: ignore[arg-type]
        raise InvalidField(field, str(part), f"must be part of the bridge's subnet {subnet}")
    whole = part is None or part == subnet
    return AddressRange(
        subnet=str(subnet),
        gateway=str(address.ip),
        allocated_from="" if whole else str(part),
    )


def _with_outward(given: AddressRange, gateways: dict[int, str]) -> AddressRange:
    """A range without the address of the gateway that the operator named. Raises: InvalidField."""
    version = 6 if given.is_ipv6 else 4
    gateway = gateways[version]
    if not gateway:
        return given
    if ip_address(gateway) not in ip_network(given.subnet):
        field = "default-gateway-v6" if version == 6 else "default-gateway"
        raise InvalidField(field, gateway, f"must be in the bridge's subnet {given.subnet}")
    return replace(given, reserved={_GATEWAY[version]: gateway})


def _routed(
    route: netlink.NetlinkSocket, *, besides: network_links.Link | None
) -> Sequence[Subnet]:
    """The subnets that the host has a route into, but for those of one link."""
    own = besides.index if besides else 0
    return [
        each.destination
        for each in addressing.routes(route)
        if each.destination.prefixlen and (not own or each.link_index != own)
    ]


def parse_bip(field: str, text: str, *, version: int) -> addressing.Interface:
    """`--bip` or `--bip6`: an address with its prefix length. Raises: InvalidField."""
    try:
        address = ip_interface(text)
    except ValueError as error:
        raise InvalidField(
            field, text, f"must be an IPv{version} address with a prefix length"
        ) from error
    if address.version != version:
        raise InvalidField(field, text, f"must be an IPv{version} address with a prefix length")
    network = address.network
    if "/" not in text or network.prefixlen > network.max_prefixlen - 2:
        raise InvalidField(field, text, "must leave room for containers")
    if address.ip in (network.network_address, network.broadcast_address):
        raise InvalidField(field, text, "must be an address of a host")
    return address


def _part(field: str, text: str, *, version: int) -> Subnet | None:
    """A part of the bridge's subnet. Raises: InvalidField."""
    if not text:
        return None
    kind = IPv4Network if version == 4 else IPv6Network
    try:
        part = kind(text, strict=False)
    except ValueError as error:
        raise InvalidField(field, text, f"must be an IPv{version} subnet") from error
    if "/" not in text or part.prefixlen > part.max_prefixlen - 2:
        raise InvalidField(field, text, "must leave room for containers")
    return part
