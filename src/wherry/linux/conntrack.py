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
    open_socket,
)
from wherry.linux.nftables import NETLINK_NETFILTER
from wherry.linux.syscall import KernelError

NFNL_SUBSYS_CTNETLINK = 1
IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE = 1, 2
CTA_TUPLE_ORIG, CTA_ID = 1, 12
CTA_TUPLE_PROTO = 2
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3

_NFGENMSG = struct.Struct("=BBH")
_HEADER = _NFGENMSG.pack(socket.AF_INET, 0, 0)
_RECEIVE_BYTES = 1 << 17


def forget_udp_flows(ports: Set[int]) -> int:
    """Delete the IPv4 UDP flows to these destination ports; how many there were.

    Raises: KernelError.
    """
    descriptor = open_socket(NETLINK_NETFILTER)
    try:
        doomed = [flow for flow in _udp_flows(descriptor, ports)]
        for number, flow in enumerate(doomed, 2):
            _delete(descriptor, number, flow)
    finally:
        os.close(descriptor)
    return len(doomed)


def _udp_flows(descriptor: int, ports: Set[int]) -> list[bytes]:
    """What names each flow to the kernel: its original tuple and its id."""
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
    os.write(descriptor, message(kind, NLM_F_REQUEST | NLM_F_DUMP, 1, _HEADER))
    found = []
    while True:
        for answer, _sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
            if answer in (NLMSG_DONE, NLMSG_ERROR):
                if error_of(body):
                    raise KernelError(error_of(body), "IPCTNL_MSG_CT_GET")
                return found
            parts = attributes(body[_NFGENMSG.size :])
            original = parts.get(CTA_TUPLE_ORIG, b"")
            protocol = attributes(attributes(original).get(CTA_TUPLE_PROTO, b""))
            is_udp = protocol.get(CTA_PROTO_NUM) == bytes((socket.IPPROTO_UDP,))
            port = int.from_bytes(protocol.get(CTA_PROTO_DST_PORT, b""), "big")
            if is_udp and port in ports:
                named = attribute(CTA_TUPLE_ORIG, original)
                named += attribute(CTA_ID, parts[CTA_ID]) if CTA_ID in parts else b""
                found.append(named)


def _delete(descriptor: int, number: int, flow: bytes) -> None:
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE
    os.write(descriptor, message(kind, NLM_F_REQUEST | NLM_F_ACK, number, _HEADER + flow))
    for _answer, _sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
        code = error_of(body)
        if code not in (0, errno.ENOENT):
            raise KernelError(code, "IPCTNL_MSG_CT_DELETE")
