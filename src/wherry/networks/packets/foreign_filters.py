"""Other engines' packet filters beside ours, and the doors in them. Blocking."""

import logging
import os
from collections.abc import Iterable

from wherry.kit.values import dataclass
from wherry.linux import addressing, netlink, network_links, nft_listing
from wherry.networks.connections import as_done
from wherry.operations.network.foreign_filters import DOORS, OpenForeignDoor
from wherry.operations.plan import Hands, OperationFailed, execute, undo

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Barriers:
    """What is in the way of our packets."""

    doors: frozenset[OpenForeignDoor] = frozenset()
    """Rules that have to be there."""
    protected: frozenset[str] = frozenset()
    """Bridges of others: what our containers send there is not marked."""
    shut: frozenset[str] = frozenset()
    """Chains with a policy to drop and no place for rules of ours."""


def look(table: str, own_bridges: Iterable[str]) -> Barriers:
    """What there is now; on most hosts nothing."""
    barriers = [
        each
        for each in nft_listing.base_chains()
        if each.hook == "forward" and each.drops and each.table != table
    ]
    if not barriers:
        return Barriers()
    doors = set()
    shut = set()
    for each in barriers:
        door = DOORS.get((each.table, each.name), "")
        if door and each.family in ("ip", "ip6") and nft_listing.has_chain(each, door):
            doors.add(OpenForeignDoor(why=_WHY, family=each.family, door=door, table=table))
        else:
            shut.add(str(each))
    return Barriers(frozenset(doors), _foreign_bridges(set(own_bridges)), frozenset(shut))


def open_doors(barriers: Barriers) -> None:
    """Put the rules there that are missing. A door that can't be opened is a warning."""
    for door in barriers.doors:
        try:
            execute((door,), Hands(), [])
        except OperationFailed as failed:
            _log.warning("networks.door_shut door=%s %s", door.door, failed)
    for chain in barriers.shut:
        _log.warning("networks.barrier chain=%s policy=drop", chain)


def are_open(barriers: Barriers) -> bool:
    """Whether every rule is still there."""
    try:
        return all(door.is_open() for door in barriers.doors)
    except OSError:
        return True  # no iptables: there is nothing that could be done


def close_doors(table: str) -> None:
    """Take our rules away again."""
    doors = look(table, ()).doors
    for problem in undo(as_done(doors), Hands()):
        _log.warning("networks.door_left %s", problem)


_WHY = "another engine's forward chain drops what none of its rules allows"


def _foreign_bridges(own: set[str]) -> frozenset[str]:
    """Bridges that are not ours and not the host's own way out."""
    descriptor = netlink.open_socket()
    try:
        route = netlink.NetlinkSocket(descriptor)
        ways_out = {
            each.link_index
            for version in (4, 6)
            for each in addressing.routes(route, version=version)
            if not each.destination.prefixlen
        }
        return frozenset(
            each.name
            for each in network_links.links(route)
            if each.kind == "bridge" and each.name not in own and each.index not in ways_out
        )
    finally:
        os.close(descriptor)
