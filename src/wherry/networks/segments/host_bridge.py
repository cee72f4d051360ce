"""Bridges on this host: bringing up, taking down, and what else the host has. Blocking."""

import os
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface

from wherry.linux import addressing, netlink, network_links
from wherry.model.errors import InvalidField, StepFailed
from wherry.networks.connections import as_done, as_step_failed
from wherry.networks.definitions import Occupied
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.packets.foreign_filters import Barriers
from wherry.networks.packets.packet_table import admission, guard_commands, table_commands
from wherry.operations.network.links import HOST_NETLINK, AssignAddress, CreateBridge
from wherry.operations.network.packet_filter import PACKET_FILTER, InstallTable
from wherry.operations.plan import Hands, Operation, OperationFailed, Plan, execute, undo

_IPV6_LOOPBACK = "00000000000000000000000000000001"
_HOST = "a route of the host"
_NO_BARRIERS = Barriers()


def bring_up(settings: BridgeSettings, *, replaces_addresses: bool = False) -> None:
    """Make or repair a bridge; with `replaces_addresses`, take others away that are ours.

    Raises: InvalidField, StepFailed.
    """
    descriptor = netlink.open_socket()
    hands = Hands({HOST_NETLINK: descriptor})
    try:
        route = netlink.NetlinkSocket(descriptor)
        link = network_links.find_link(route, settings.name)
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


def install_table(
    table: str,
    networks: Iterable[BridgeSettings],
    *,
    allows_direct_routing: bool,
    accepted_mark: str = "",
    barriers: Barriers = _NO_BARRIERS,
) -> None:
    """Make or repair the engine's table of the packet filter. Raises: StepFailed."""
    _perform(
        (
            InstallTable(
                why="published ports, masquerading, and no way in for anything else",
                table=table,
                commands=table_commands(
                    table,
                    networks,
                    allows_direct_routing=allows_direct_routing,
                    accepted_mark=accepted_mark,
                    barriers=barriers,
                ),
            ),
        ),
        Hands(),
    )


def admit(settings: BridgeSettings, *, packet_filter: int) -> None:
    """Tell the packet filter of a bridge: an unknown one is open. Raises: StepFailed."""
    if settings.is_filtered:
        _perform((admission(settings),), Hands({PACKET_FILTER: os.dup(packet_filter)}))


def dismiss(settings: BridgeSettings, *, packet_filter: int) -> None:
    """Let the packet filter forget a bridge that has gone. Raises: StepFailed."""
    if settings.is_filtered:
        hands = Hands({PACKET_FILTER: os.dup(packet_filter)})
        _undo(admission(settings), f"forget the bridge {settings.name}", hands)


def guard(settings: BridgeSettings) -> None:
    """Let nothing in the clear reach the port of encrypted networks. Raises: StepFailed."""
    _change_guard(settings, settings.sealed_port, "--opt encrypted: nothing passes in the clear")


def unguard(settings: BridgeSettings) -> None:
    """No network is encrypted any more. Raises: StepFailed."""
    _change_guard(settings, 0, "the last encrypted network is gone")


def _change_guard(settings: BridgeSettings, port: int, why: str) -> None:
    commands = "".join(f"{each}\n" for each in guard_commands(settings.table, port))
    _perform((InstallTable(why=why, table=settings.table, commands=commands),), Hands())


def make(settings: BridgeSettings) -> None:
    """Make a network's bridge; nothing is left when it fails. Raises: StepFailed."""
    plan = bridge.bridge_plan(
        settings,
        exists=False,
        missing=settings.gateways,
        has_ipv6=os.path.isdir("/proc/sys/net/ipv6"),
    )
    _perform(plan, Hands({HOST_NETLINK: netlink.open_socket()}))


def take_down(settings: BridgeSettings) -> None:
    """Take a network's bridge away, if it is ours. Raises: StepFailed."""
    made = CreateBridge(why="", name=settings.name, mac_address="", alias=settings.alias)
    _undo(made, f"remove the bridge {settings.name}", Hands())


def remove_table(table: str) -> None:
    """Take the engine's table away. Raises: StepFailed."""
    made = InstallTable(why="", table=table, commands="")
    _undo(made, "remove the packet filter's table", Hands())


def occupied(besides: Iterable[str]) -> list[Occupied]:
    """Subnets that the host has routes into, but for those over the named links."""
    descriptor = netlink.open_socket()
    try:
        route = netlink.NetlinkSocket(descriptor)
        named = set(besides)
        ours = {each.index for each in network_links.links(route) if each.name in named}
        return [
            Occupied(
                subnet=each.destination, holder=f"{_HOST} ({each.destination})", is_route=True
            )
            for version in (4, 6)
            for each in addressing.routes(route, version=version)
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


def _perform(plan: Plan, hands: Hands) -> None:
    try:
        execute(plan, hands, [])
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()


def _undo(done: Operation, step: str, hands: Hands) -> None:
    try:
        problems = undo(as_done((done,)), hands)
    finally:
        hands.close()
    if problems:
        raise StepFailed(step=step, cause="; ".join(problems))


def _addresses(route: netlink.NetlinkSocket, index: int) -> list[IPv4Interface | IPv6Interface]:
    return [
        each for version in (4, 6) for each in addressing.addresses(route, index, version=version)
    ]


def _stale_addresses(
    settings: BridgeSettings, present: Iterable[IPv4Interface | IPv6Interface]
) -> list[Operation]:
    return [
        AssignAddress(why="an earlier --bip", interface=settings.name, address=str(each))
        for each in present
        if each not in settings.gateways and not each.is_link_local
    ]
