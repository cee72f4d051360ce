"""Connection tracking: find flows and forget them (ctnetlink).

A flow that was seen before a rule of address translation came or went keeps its old fate until
its entry times out; for UDP, where a client may go on sending from one port for ever, that can
be never. Source of the numbers: linux/netfilter/nfnetlink_conntrack.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Set

from wherry.linux.netlink import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attribute,
    attributes,
    error_of,
    message,
    messages,
)
from wherry.linux.nftables import exchange, next_sequence
from wherry.linux.syscall import KernelError

NFNL_SUBSYS_CTNETLINK = 1
IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE = 1, 2
CTA_TUPLE_ORIG, CTA_ID = 1, 12
CTA_TUPLE_PROTO = 2
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3

_NFGENMSG = struct.Struct("=BBH")
_HEADER = _NFGENMSG.pack(socket.AF_INET, 0, 0)
_RECEIVE_BYTES = 1 << 17


def forget_udp_flows(descriptor: int, ports: Set[int]) -> int:
    """Delete the IPv4 UDP flows to these destination ports; how many there were.

    Raises: KernelError.
    """
    with exchange:
        doomed = _udp_flows(descriptor, ports)
        for flow in doomed:
            _delete(descriptor, flow)
    return len(doomed)


def _udp_flows(descriptor: int, ports: Set[int]) -> list[bytes]:
    """What names each flow to the kernel: its original tuple and its id."""
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
    ours = next_sequence()
    os.write(descriptor, message(kind, NLM_F_REQUEST | NLM_F_DUMP, ours, _HEADER))
    found: list[bytes] = []
    while True:
        for answer, sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
            if sequence != ours:
                continue
            if answer in (NLMSG_DONE, NLMSG_ERROR):
                if error_of(body):
                    raise KernelError(error_of(body), "IPCTNL_MSG_CT_GET")
                return found
            name = _name_of_udp_flow(attributes(body[_NFGENMSG.size :]), ports)
            if name:
                found.append(name)


def _name_of_udp_flow(parts: dict[int, bytes], ports: Set[int]) -> bytes:
    """The attributes that name a flow, or nothing when it is not to one of the ports."""
    original = parts.get(CTA_TUPLE_ORIG, b"")
    protocol = attributes(attributes(original).get(CTA_TUPLE_PROTO, b""))
    if protocol.get(CTA_PROTO_NUM) != bytes((socket.IPPROTO_UDP,)):
        return b""
    if int.from_bytes(protocol.get(CTA_PROTO_DST_PORT, b""), "big") not in ports:
        return b""
    identity = attribute(CTA_ID, parts[CTA_ID]) if CTA_ID in parts else b""
    return attribute(CTA_TUPLE_ORIG, original) + identity


def _delete(descriptor: int, flow: bytes) -> None:
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE
    ours = next_sequence()
    os.write(descriptor, message(kind, NLM_F_REQUEST | NLM_F_ACK, ours, _HEADER + flow))
    for _answer, _sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
        code = error_of(body)
        if code not in (0, errno.ENOENT):
            raise KernelError(code, "IPCTNL_MSG_CT_DELETE")
