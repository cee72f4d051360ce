"""Rules of the packet filter as messages of our own: the one kind that no library writes for us.

Inside a container's namespace there is no libnftables to be had (it opens a socket of its own in
the namespace of the caller, and loading it there would look for files). The rule is always the
same: what is sent to an address and port is sent to another port. A rule is a list of expressions
that work on registers (linux/netfilter/nf_tables.h):

    meta     register 1 <- transport protocol      cmp  it is TCP or UDP
    payload  register 1 <- destination address     cmp  it is ours
    payload  register 1 <- destination port        cmp  it is the one
    immediate  registers 1, 2 <- address, port     nat  destination <- registers 1, 2
"""

import errno
import os
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

from wherry.linux.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    attribute,
    error_of,
    message,
    messages,
    text_attribute,
)
from wherry.linux.nftables import (
    NFNL_MSG_BATCH_BEGIN,
    NFNL_MSG_BATCH_END,
    NFNL_SUBSYS_NFTABLES,
    next_sequence,
)
from wherry.linux.syscall import KernelError

NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE = 0, 2, 3, 6
NFTA_TABLE_NAME = 1
NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_TYPE = 1, 3, 4, 7
NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY = 1, 2
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS = 1, 2, 4
NFTA_LIST_ELEM, NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 1, 2
NFTA_META_DREG, NFTA_META_KEY = 1, 2
NFTA_CMP_SREG, NFTA_CMP_OP, NFTA_CMP_DATA = 1, 2, 3
NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN = 1, 2, 3, 4
NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA, NFTA_DATA_VALUE = 1, 2, 1
NFTA_NAT_TYPE, NFTA_NAT_FAMILY, NFTA_NAT_REG_ADDR_MIN, NFTA_NAT_REG_PROTO_MIN = 1, 2, 3, 5
NFT_META_L4PROTO, NFT_CMP_EQ, NFT_NAT_DNAT = 16, 0, 1
NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER = 1, 2
NFT_REG_1, NFT_REG_2 = 1, 2
NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST = 3, -100

_NFGENMSG = struct.Struct("=BB2s")
_BATCH = _NFGENMSG.pack(socket.AF_UNSPEC, 0, NFNL_SUBSYS_NFTABLES.to_bytes(2, "big"))
_IPV4 = _NFGENMSG.pack(socket.AF_INET, 0, bytes(2))
_NESTED = 1 << 15
"""NLA_F_NESTED: the attribute holds attributes."""
_CHAIN = "output"
_ADDRESS_OFFSET, _PORT_OFFSET = 16, 2
"""Of the destination in an IPv4 header, and in a TCP or UDP header."""
_RECEIVE_BYTES = 1 << 16


def redirect_output(
    descriptor: int,
    table: str,
    *,
    address: IPv4Address,
    port: int,
    to: Sequence[tuple[int, int]],
) -> None:
    """Make a table that sends what is for `address:port` to other ports of the address.

    `to` is a list of protocol numbers (IPPROTO_UDP, IPPROTO_TCP) and ports. One transaction:
    a table of this name that was there is gone afterwards. Raises: KernelError.
    """
    name = text_attribute(NFTA_TABLE_NAME, table)
    chain = (
        text_attribute(NFTA_CHAIN_TABLE, table)
        + text_attribute(NFTA_CHAIN_NAME, _CHAIN)
        + _nested(
            NFTA_CHAIN_HOOK,
            _number(NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT)
            + _number(NFTA_HOOK_PRIORITY, NF_IP_PRI_NAT_DST),
        )
        + text_attribute(NFTA_CHAIN_TYPE, "nat")
    )
    rules = [
        (NFT_MSG_NEWRULE, NLM_F_CREATE, _rule(table, address, port, protocol, target))
        for protocol, target in to
    ]
    making = [
        (NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, name),
        (NFT_MSG_NEWCHAIN, NLM_F_CREATE, chain),
        *rules,
    ]
    try:
        _transaction(descriptor, table, making)
    except KernelError as error:
        if error.errno != errno.EEXIST:
            raise
        # Seldom: closing the socket after a deletion waits for a grace period, 10 ms of a start.
        _transaction(descriptor, table, [(NFT_MSG_DELTABLE, 0, name), *making])


def delete_table(descriptor: int, table: str) -> None:
    """Delete a table of the ip family. Raises: KernelError (ENOENT)."""
    _transaction(
        descriptor, table, [(NFT_MSG_DELTABLE, 0, text_attribute(NFTA_TABLE_NAME, table))]
    )


def _rule(table: str, address: IPv4Address, port: int, protocol: int, target: int) -> bytes:
    expressions = (
        _expression(
            "meta",
            _number(NFTA_META_KEY, NFT_META_L4PROTO) + _number(NFTA_META_DREG, NFT_REG_1),
        ),
        _equals(bytes([protocol])),
        _loaded(NFT_PAYLOAD_NETWORK_HEADER, _ADDRESS_OFFSET, 4),
        _equals(address.packed),
        _loaded(NFT_PAYLOAD_TRANSPORT_HEADER, _PORT_OFFSET, 2),
        _equals(port.to_bytes(2, "big")),
        _immediate(NFT_REG_1, address.packed),
        _immediate(NFT_REG_2, target.to_bytes(2, "big")),
        _expression(
            "nat",
            _number(NFTA_NAT_TYPE, NFT_NAT_DNAT)
            + _number(NFTA_NAT_FAMILY, socket.AF_INET)
            + _number(NFTA_NAT_REG_ADDR_MIN, NFT_REG_1)
            + _number(NFTA_NAT_REG_PROTO_MIN, NFT_REG_2),
        ),
    )
    return (
        text_attribute(NFTA_RULE_TABLE, table)
        + text_attribute(NFTA_RULE_CHAIN, _CHAIN)
        + _nested(NFTA_RULE_EXPRESSIONS, b"".join(expressions))
    )


def _expression(name: str, data: bytes) -> bytes:
    return _nested(
        NFTA_LIST_ELEM, text_attribute(NFTA_EXPR_NAME, name) + _nested(NFTA_EXPR_DATA, data)
    )


def _equals(value: bytes) -> bytes:
    return _expression(
        "cmp",
        _number(NFTA_CMP_SREG, NFT_REG_1)
        + _number(NFTA_CMP_OP, NFT_CMP_EQ)
        + _nested(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, value)),
    )


def _loaded(base: int, offset: int, length: int) -> bytes:
    return _expression(
        "payload",
        _number(NFTA_PAYLOAD_DREG, NFT_REG_1)
        + _number(NFTA_PAYLOAD_BASE, base)
        + _number(NFTA_PAYLOAD_OFFSET, offset)
        + _number(NFTA_PAYLOAD_LEN, length),
    )


def _immediate(register: int, value: bytes) -> bytes:
    return _expression(
        "immediate",
        _number(NFTA_IMMEDIATE_DREG, register)
        + _nested(NFTA_IMMEDIATE_DATA, attribute(NFTA_DATA_VALUE, value)),
    )


def _number(kind: int, number: int) -> bytes:
    """nf_tables has its numbers in network byte order."""
    return attribute(kind, (number & 0xFFFFFFFF).to_bytes(4, "big"))


def _nested(kind: int, payload: bytes) -> bytes:
    return attribute(kind | _NESTED, payload)


def _transaction(descriptor: int, table: str, parts: Sequence[tuple[int, int, bytes]]) -> None:
    """Send a batch and wait for its fate: all of it or nothing. Raises: KernelError."""
    first = next_sequence()
    packet = message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, first, _BATCH)
    for number, (kind, flags, payload) in enumerate(parts, first + 1):
        message_type = NFNL_SUBSYS_NFTABLES << 8 | kind
        packet += message(message_type, NLM_F_REQUEST | NLM_F_ACK | flags, number, _IPV4 + payload)
    packet += message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, first + len(parts) + 1, _BATCH)
    os.write(descriptor, packet)
    waiting, failed = len(parts), 0
    while waiting > 0:
        for answer, sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
            if answer == NLMSG_ERROR and first <= sequence <= first + len(parts):
                waiting -= 1
                failed = failed or error_of(body)
                if sequence == first and error_of(body):
                    waiting = 0  # the commit itself failed
    if failed:
        raise KernelError(failed, "nf_tables", table)
