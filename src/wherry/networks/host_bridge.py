"""Bridges on this host: names and addresses that are free, bringing up, taking down. Blocking."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Interface,
    IPv6Interface,
    NetmaskValueError,
    ip_network,
)

from wherry.linux import netlink
from wherry.model.errors import InvalidField, StepFailed
from wherry.model.networks import AddressRange
from wherry.networks.address_pools import Subnet, choose_subnet
from wherry.networks.connections import as_done, as_step_failed
from wherry.networks.definitions import Occupied
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.packet_table import admission, table_commands
from wherry.operations.links import HOST_NETLINK, AssignAddress, CreateBridge
from wherry.operations.packet_filter import InstallTable
from wherry.operations.plan import Hands, Operation, OperationFailed, Plan, execute, undo

_CANDIDATES = ("docker0", *(f"wherry{number}" for number in range(10)))
_IPV6_LOOPBACK = "00000000000000000000000000000001"
_HOST = "a route of the host"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultBridge:
    """Where the default network is."""

    name: str
    address: IPv4Interface


def find_default(
    *, name: str, bip: str, alias: str, pools: Sequence[tuple[Subnet, int]]
) -> DefaultBridge:
    """The name and address that the default bridge has, or is to have.

    An empty name means docker0 where that is free, else a name of our own; an empty `bip`
    leaves the choice of subnet to us. Raises: InvalidField; AddressPoolExhausted.
    """
    if name and not bridge.is_valid_name(name):
        raise InvalidField("bridge", name, "must be the name of a network interface")
    descriptor = netlink.open_socket()
    try:
        route = netlink.NetlinkSocket(descriptor)
        chosen, link = _choose(route, name, alias)
        if link is not None and link.kind != "bridge":
            raise InvalidField("bridge", chosen, "is not a bridge")
        return DefaultBridge(name=chosen, address=_address(route, link, bip, pools))
    finally:
        os.close(descriptor)


def bring_up(settings: BridgeSettings, *, replaces_addresses: bool = False) -> None:
    """Make or repair a bridge; with `replaces_addresses`, take others away that are ours.

    Raises: InvalidField, StepFailed.
    """
    descriptor = netlink.open_socket()
    hands = Hands({HOST_NETLINK: descriptor})
    try:
        route = netlink.NetlinkSocket(descriptor)
        link = netlink.find_link(route, settings.name)
        if link is not None and link.kind != "bridge":
            raise InvalidField("bridge", settings.name, "is not a bridge")
        present = [] if link is None else _addresses(route, link.index)
        plan = bridge.bridge_plan(
            settings,
            exists=link is not None,
            missing=tuple(each for each in settings.gateways if each not in present),
            has_ipv6=os.path.isdir("/proc/sys/net/ipv6"),
        )
        if replaces_addresses and link is not None and link.alias == settings.alias:
            undo(as_done(_stale_addresses(settings, present)), hands)
        execute(plan, hands, [])
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()


def install_table(table: str, networks: Iterable[BridgeSettings]) -> None:
    """Make or repair the engine's table of the packet filter. Raises: StepFailed."""
    _perform(
        (
            InstallTable(
                why="published ports, masquerading, and no way in for anything else",
                table=table,
                commands=table_commands(table, networks),
            ),
        )
    )


def make(settings: BridgeSettings) -> None:
    """Make a network's bridge and admit it; nothing is left when it fails. Raises: StepFailed."""
    plan = bridge.bridge_plan(
        settings,
        exists=False,
        missing=settings.gateways,
        has_ipv6=os.path.isdir("/proc/sys/net/ipv6"),
    )
    # Admitted first: a bridge that the packet filter does not know would be open.
    _perform((admission(settings), *plan))


def take_down(settings: BridgeSettings) -> None:
    """Take a network's bridge away, if it is ours, and its admission. Raises: StepFailed."""
    made = (
        admission(settings),
        CreateBridge(why="", name=settings.name, mac_address="", alias=settings.alias),
    )
    problems = undo(as_done(made), Hands())
    if problems:
        raise StepFailed(step=f"remove the bridge {settings.name}", cause="; ".join(problems))


def remove_table(table: str) -> None:
    """Take the engine's table away. Raises: StepFailed."""
    problems = undo(as_done((InstallTable(why="", table=table, commands=""),)), Hands())
    if problems:
        raise StepFailed(step="remove the packet filter's table", cause="; ".join(problems))


def occupied(besides: Iterable[str]) -> list[Occupied]:
    """Subnets that the host has routes into, but for those over the named links."""
    descriptor = netlink.open_socket()
    try:
        route = netlink.NetlinkSocket(descriptor)
        named = set(besides)
        ours = {each.index for each in netlink.links(route) if each.name in named}
        return [
            Occupied(subnet=each.destination, holder=f"{_HOST} ({each.destination})")
            for version in (4, 6)
            for each in netlink.routes(route, version=version)
            if each.destination.prefixlen
            and each.link_index not in ours
            and not each.destination.is_link_local
            and not each.destination.is_multicast
        ]
    finally:
        os.close(descriptor)


def has_ipv6() -> bool:
    """Whether this host has `::1`, so that a port can be held for IPv6 too."""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as file:
            return any(line.startswith(_IPV6_LOOPBACK) for line in file)
    except OSError:
        return False


def default_range(address: IPv4Interface) -> AddressRange:
    """The subnet of the default network."""
    return AddressRange(subnet=str(address.network), gateway=str(address.ip))


def _perform(plan: Plan) -> None:
    hands = Hands({HOST_NETLINK: netlink.open_socket()})
    try:
        execute(plan, hands, [])
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()


def _addresses(route: netlink.NetlinkSocket, index: int) -> list[IPv4Interface | IPv6Interface]:
    return [
        each for version in (4, 6) for each in netlink.addresses(route, index, version=version)
    ]


def _stale_addresses(
    settings: BridgeSettings, present: Iterable[IPv4Interface | IPv6Interface]
) -> list[Operation]:
    return [
        AssignAddress(why="an earlier --bip", interface=settings.name, address=str(each))
        for each in present
        if each not in settings.gateways and not each.is_link_local
    ]


def _choose(
    route: netlink.NetlinkSocket, name: str, alias: str
) -> tuple[str, netlink.Link | None]:
    if name:
        return name, netlink.find_link(route, name)
    links = {link.name: link for link in netlink.links(route)}
    for candidate in _CANDIDATES:
        if candidate in links and links[candidate].alias == alias:
            return candidate, links[candidate]
    for candidate in _CANDIDATES:
        if candidate not in links:
            return candidate, None
    raise InvalidField("bridge", "", "no default name is free; choose one with --bridge")


def _address(
    route: netlink.NetlinkSocket,
    link: netlink.Link | None,
    bip: str,
    pools: Sequence[tuple[Subnet, int]],
) -> IPv4Interface:
    if bip:
        return parse_bip(bip)
    present = netlink.addresses(route, link.index) if link else []
    if present:
        return IPv4Interface(str(present[0]))
    own = link.index if link else 0
    subnet = choose_subnet(
        (
            each.destination
            for each in netlink.routes(route)
            if each.destination.prefixlen and (not own or each.link_index != own)
        ),
        pools,
    )
    return IPv4Interface(f"{subnet[1]}/{subnet.prefixlen}")


def parse_bip(text: str) -> IPv4Interface:
    """`--bip`: an address with its prefix length. Raises: InvalidField."""
    try:
        address = IPv4Interface(text)
    except (AddressValueError, NetmaskValueError) as error:
        raise InvalidField("bip", text, "must be an IPv4 address with a prefix length") from error
    if "/" not in text or address.network.prefixlen > 30:
        raise InvalidField("bip", text, "must leave room for containers")
    if address.ip in (address.network.network_address, address.network.broadcast_address):
        raise InvalidField("bip", text, "must be an address of a host")
    return address


def subnets(ranges: Iterable[AddressRange]) -> list[Subnet]:
    """The subnets of some ranges."""
    return [ip_network(each.subnet) for each in ranges]
