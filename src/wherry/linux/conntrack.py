"""Connection tracking: find flows and forget them (ctnetlink).

A flow that was seen before a rule of address translation came or went keeps its old fate until
its entry times out; for UDP, where a client may go on sending from one port for ever, that can
be never. Source of the numbers: linux/netfilter/nfnetlink_conntrack.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Set
from ipaddress import IPv4Address, IPv6Address

from wherry.kit.values import dataclass
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
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID = 1, 2, 12
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_V4_SRC, CTA_IP_V6_SRC = 1, 3
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3

_NFGENMSG = struct.Struct("=BBH")
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_RECEIVE_BYTES = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A connection, or what looks like one, as the kernel tracks it."""

    protocol: int
    port: int
    """Where the first packet was sent to, before any translation."""
    answered_by: bytes
    """The address that answers it, after translation."""
    name: bytes
    """The attributes that name it to the kernel: its original tuple and its id."""


def forget_udp_flows(descriptor: int, ports: Set[int]) -> int:
    """Delete the IPv4 UDP flows to these destination ports; how many there were.

    Raises: KernelError.
    """
    udp = socket.IPPROTO_UDP
    return _forget(descriptor, 4, lambda flow: flow.protocol == udp and flow.port in ports)


def forget_flows_to(
    descriptor: int, ports: Set[tuple[int, int]], target: IPv4Address | IPv6Address
) -> int:
    """Delete the flows that a published port leads to an address; how many there were.

    `ports` are numbers of protocols and of the host's ports. Raises: KernelError.
    """

    def is_led(flow: Flow) -> bool:
        return flow.answered_by == target.packed and (flow.protocol, flow.port) in ports

    return _forget(descriptor, target.version, is_led)


def _forget(descriptor: int, version: int, is_doomed: Callable[[Flow], bool]) -> int:
    header = _NFGENMSG.pack(_FAMILIES[version], 0, 0)
    with exchange:
        doomed = [each for each in _flows(descriptor, header) if is_doomed(each)]
        for flow in doomed:
            _delete(descriptor, header + flow.name)
    return len(doomed)


def _flows(descriptor: int, header: bytes) -> list[Flow]:
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
    ours = next_sequence()
    os.write(descriptor, message(kind, NLM_F_REQUEST | NLM_F_DUMP, ours, header))
    found: list[Flow] = []
    while True:
        for answer, sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
            if sequence != ours:
                continue
            if answer in (NLMSG_DONE, NLMSG_ERROR):
                if error_of(body):
                    raise KernelError(error_of(body), "IPCTNL_MSG_CT_GET")
                return found
            found.append(_flow(attributes(body[_NFGENMSG.size :])))


def _flow(parts: dict[int, bytes]) -> Flow:
    original = parts.get(CTA_TUPLE_ORIG, b"")
    protocol = attributes(attributes(original).get(CTA_TUPLE_PROTO, b""))
    reply = attributes(attributes(parts.get(CTA_TUPLE_REPLY, b"")).get(CTA_TUPLE_IP, b""))
    identity = attribute(CTA_ID, parts[CTA_ID]) if CTA_ID in parts else b""
    return Flow(
        protocol=int.from_bytes(protocol.get(CTA_PROTO_NUM, b""), "big"),
        port=int.from_bytes(protocol.get(CTA_PROTO_DST_PORT, b""), "big"),
        answered_by=reply.get(CTA_IP_V4_SRC, reply.get(CTA_IP_V6_SRC, b"")),
        name=attribute(CTA_TUPLE_ORIG, original) + identity,
    )


def _delete(descriptor: int, flow: bytes) -> None:
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE
    ours = next_sequence()
    os.write(descriptor, message(kind, NLM_F_REQUEST | NLM_F_ACK, ours, flow))
    for _answer, _sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
        code = error_of(body)
        if code not in (0, errno.ENOENT):
            raise KernelError(code, "IPCTNL_MSG_CT_DELETE")
