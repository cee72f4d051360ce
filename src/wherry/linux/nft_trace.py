"""What becomes of marked packets: nftables tells each rule that they meet. Reads only.

Theory of operation. A rule `meta nftrace set 1` marks a packet; from there on the kernel tells
the multicast group NFNLGRP_NFTRACE of every rule and every policy that decides about it
(nft(8), "meta nftrace"; linux/netfilter/nf_tables.h, enum nft_trace_attributes). Whoever wants
to know which rule drops a packet need not read rules at all.
"""

import os

from wherry.kit.values import dataclass
from wherry.linux.netlink import attributes, messages
from wherry.linux.nft_monitor import open_group_socket

NFNLGRP_NFTRACE = 9
_NFT_MSG_TRACE = 10 << 8 | 17
_TABLE, _CHAIN, _RULE_HANDLE, _TYPE, _VERDICT, _POLICY = 1, 2, 3, 4, 5, 16
_VERDICT_CODE = 1
_TYPE_POLICY = 1
_NFGENMSG_BYTES = 4
_RECEIVE_BYTES = 1 << 16
_DROP = 0
_FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Where a marked packet ended."""

    family: str
    table: str
    chain: str
    handle: int
    """Of the rule; zero: the chain's policy."""


def open_trace_socket() -> int:
    """A socket that is told what becomes of marked packets. Raises: OSError."""
    return open_group_socket(NFNLGRP_NFTRACE)


def read_drops(trace: int) -> list[Drop]:
    """The ends that were told since the last look, oldest first. Raises: OSError."""
    found: list[Drop] = []
    while True:
        try:
            packet = os.read(trace, _RECEIVE_BYTES)
        except BlockingIOError:
            return found
        for kind, _sequence, body in messages(packet):
            if kind == _NFT_MSG_TRACE and (drop := _drop(body)) is not None:
                found.append(drop)


def _drop(body: bytes) -> Drop | None:
    told = attributes(body[_NFGENMSG_BYTES:])
    if _number(told.get(_TYPE, b"")) == _TYPE_POLICY:
        verdict = told.get(_POLICY, b"")
    else:
        verdict = attributes(told.get(_VERDICT, b"")).get(_VERDICT_CODE, b"")
    if not verdict or _number(verdict) != _DROP:
        return None
    return Drop(
        family=_FAMILIES.get(body[0], "inet"),
        table=_name(told.get(_TABLE, b"")),
        chain=_name(told.get(_CHAIN, b"")),
        handle=_number(told.get(_RULE_HANDLE, b"")),
    )


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _name(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
