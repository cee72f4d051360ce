"""What the kernel tells of changes of nftables. Reads only."""

import errno
import os
import socket

from wherry.kit.values import dataclass
from wherry.linux.netlink import attributes, messages, open_socket

_NETLINK_NETFILTER = 12
_NFNL_SUBSYS_NFTABLES = 10
NFNLGRP_NFTABLES = 7
NFT_MSG_NEWCHAIN = 3
NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELSET = 2, 5, 8, 11
NFTA_OBJECT_TABLE, NFTA_RULE_CHAIN = 1, 2
"""The table's name is attribute 1 of a table, a chain, a rule and a set alike; the second one is
a rule's chain (linux/netfilter/nf_tables.h)."""
_NFGENMSG_BYTES = 4
_RECEIVE_BYTES = 1 << 16

_NEW_CHAIN = _NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN
_RULE_REMOVAL = _NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELRULE
_REMOVALS = frozenset(
    _NFNL_SUBSYS_NFTABLES << 8 | kind
    for kind in (NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELSET)
)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was taken away, or a chain that came or has another policy."""

    table: str
    chain: str
    """Of a lost rule; empty for other things."""
    is_loss: bool


def open_monitor_socket() -> int:
    """A socket that is told of every change of nftables, and never blocks. Raises: OSError."""
    return open_group_socket(NFNLGRP_NFTABLES)


def open_group_socket(group: int) -> int:
    """A netfilter socket that hears one multicast group, and never blocks. Raises: OSError."""
    descriptor = open_socket(_NETLINK_NETFILTER)
    try:
        with socket.socket(fileno=os.dup(descriptor)) as opened:
            opened.bind((0, 1 << (group - 1)))
            opened.setblocking(False)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_changes(monitor: int) -> list[Change]:
    """Of the next changes told: what was lost, and chains that came or changed.

    An empty name of the table: more was told than the socket could keep.
    Raises: BlockingIOError when nothing was told.
    """
    try:
        packet = os.read(monitor, _RECEIVE_BYTES)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return [Change("", "", is_loss=True)]
    found = []
    for kind, _sequence, body in messages(packet):
        if kind in _REMOVALS or kind == _NEW_CHAIN:
            given = attributes(body[_NFGENMSG_BYTES:])
            chain = given.get(NFTA_RULE_CHAIN, b"") if kind == _RULE_REMOVAL else b""
            table = _name(given.get(NFTA_OBJECT_TABLE, b""))
            found.append(Change(table, _name(chain), is_loss=kind in _REMOVALS))
    return found


def _name(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
