"""The bridge on this host: which name and address it gets, and bringing it up. Blocking."""

import os
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Interface, NetmaskValueError

from wherry.linux import netlink
from wherry.model.errors import InvalidField, StepFailed
from wherry.networks.address_pools import choose_gateway
from wherry.networks.connections import as_done, as_step_failed
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.operations.links import HOST_NETLINK, AssignAddress, CreateBridge
from wherry.operations.packet_filter import InstallTable
from wherry.operations.plan import Hands, Operation, OperationFailed, execute, undo

_CANDIDATES = ("docker0", *(f"wherry{number}" for number in range(10)))
_IPV6_LOOPBACK = "00000000000000000000000000000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the host has already."""

    settings: BridgeSettings
    exists: bool
    has_address: bool
    stale: tuple[IPv4Interface, ...]
    """Addresses that an earlier `--bip` gave to a bridge of ours."""


def bring_up(*, name: str, bip: str, alias: str) -> BridgeSettings:
    """Make or repair the bridge and its table.

    An empty name means docker0 where that is free, else a name of our own; an empty `bip`
    leaves the choice of subnet to us.

    Raises: InvalidField; StepFailed; AddressPoolExhausted.
    """
    descriptor = netlink.open_socket()
    hands = Hands({HOST_NETLINK: descriptor})
    try:
        found = _look(netlink.NetlinkSocket(descriptor), name, bip, alias)
        plan = bridge.bridge_plan(
            found.settings,
            exists=found.exists,
            has_address=found.has_address,
            has_ipv6=os.path.isdir("/proc/sys/net/ipv6"),
        )
        undo(as_done(_stale_addresses(found)), hands)
        execute(plan, hands, [])
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()
    return found.settings


def take_down(settings: BridgeSettings) -> None:
    """Remove the table, and the bridge if it is ours. Raises: StepFailed."""
    made = (
        CreateBridge(why="", name=settings.name, mac_address="", alias=settings.alias),
        InstallTable(why="", table=settings.table, commands=""),
    )
    problems = undo(as_done(made), Hands())
    if problems:
        raise StepFailed(step="remove the network's state", cause="; ".join(problems))


def has_ipv6() -> bool:
    """Whether this host has `::1`, so that a port can be held for IPv6 too."""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as file:
            return any(line.startswith(_IPV6_LOOPBACK) for line in file)
    except OSError:
        return False


def _look(route: netlink.NetlinkSocket, name: str, bip: str, alias: str) -> _Found:
    if name and not bridge.is_valid_name(name):
        raise InvalidField("bridge", name, "must be the name of a network interface")
    chosen, link = _choose(route, name, alias)
    if link is not None and link.kind != "bridge":
        raise InvalidField("bridge", chosen, "is not a bridge")
    present = netlink.addresses(route, link.index) if link else []
    address = _address(route, link, bip, present)
    is_ours = link is not None and link.alias == alias
    return _Found(
        settings=BridgeSettings(name=chosen, address=address, alias=alias),
        exists=link is not None,
        has_address=address in present,
        stale=tuple(each for each in present if bip and is_ours and each != address),
    )


def _stale_addresses(found: _Found) -> list[Operation]:
    return [
        AssignAddress(why="an earlier --bip", interface=found.settings.name, address=str(each))
        for each in found.stale
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
    present: list[IPv4Interface],
) -> IPv4Interface:
    if bip:
        return parse_bip(bip)
    if present:
        return present[0]
    own = link.index if link else 0
    return choose_gateway(
        each.destination
        for each in netlink.routes(route)
        if each.destination.prefixlen and (not own or each.link_index != own)
    )


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
