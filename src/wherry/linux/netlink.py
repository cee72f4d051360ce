"""Netlink: messages, attributes, and a socket that asks and is answered.

Theory of operation. A netlink socket belongs for ever to the network namespace in which it was
opened, whoever holds its descriptor; so a process that never enters a container's namespace
can still configure it through a socket that was opened inside. `NetlinkSocket` therefore wraps
a descriptor and nothing else. A request is a header, a fixed structure, and attributes
(type-length-value, padded to four bytes); the kernel answers each with an acknowledgement that
carries zero or an errno (netlink(7), linux/netlink.h).

What is said this way: `network_links`, `virtual_links` and `addressing` (rtnetlink), `nftables`,
`conntrack`, `xfrm`.
"""

import os
import socket
import struct
from collections.abc import Iterator

from wherry.linux.syscall import KernelError

NETLINK_ROUTE = 0
SO_SNDBUFFORCE = 32

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE = 1, 2, 3

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
U32 = struct.Struct("=I")
_ERROR = struct.Struct("=i")
_TYPE_MASK = 0x3FFF
"""The two upper bits of an attribute's type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER)."""
_RECEIVE_BYTES = 1 << 17


# -- attributes ------------------------------------------------------------------------------


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def text_attribute(kind: int, text: str) -> bytes:
    """An attribute that holds a string with its zero byte."""
    return attribute(kind, text.encode() + b"\0")


def number_attribute(kind: int, number: int) -> bytes:
    """An attribute that holds 32 bits in the machine's byte order."""
    return attribute(kind, U32.pack(number))


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type, flags of the type dropped."""
    found = {}
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3
    return found


def nested_list(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Attributes in order, where one type comes several times."""
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            break
        yield kind & _TYPE_MASK, data[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """A whole message with its header."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def messages(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, sequence number and payload of each message in a packet."""
    position = 0
    while position + HEADER.size <= len(packet):
        length, kind, _flags, sequence, _port = HEADER.unpack_from(packet, position)
        if length < HEADER.size:
            break
        yield kind, sequence, packet[position + HEADER.size : position + length]
        position += (length + 3) & ~3


def error_of(payload: bytes) -> int:
    """The errno in an NLMSG_ERROR or NLMSG_DONE message; zero is an acknowledgement."""
    return -int(_ERROR.unpack_from(payload)[0]) if len(payload) >= _ERROR.size else 0


# -- the socket ------------------------------------------------------------------------------


def open_socket(protocol: int = NETLINK_ROUTE, *, send_bytes: int = 0) -> int:
    """A netlink socket of this thread's network namespace. Raises: OSError.

    `send_bytes` is how much one write may be, where the system's default is less.
    """
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    if send_bytes:
        opened.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, send_bytes)
    return opened.detach()


class NetlinkSocket:
    """Requests and answers over a descriptor that somebody else owns. Not thread-safe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sequence = 0

    def request(
        self, kind: int, flags: int, payload: bytes, *, name: str, operands: tuple[object, ...]
    ) -> None:
        """Send one change and wait for its acknowledgement.

        Raises: KernelError with the request's name and operands.
        """
        self._send(kind, NLM_F_REQUEST | NLM_F_ACK | flags, payload)
        for answer, body in self._answers():
            if answer == NLMSG_ERROR:
                code = error_of(body)
                if code:
                    raise KernelError(code, name, *operands)
                return

    def ask(self, kind: int, payload: bytes, *, name: str, operands: tuple[object, ...]) -> bytes:
        """Ask for one thing: the payload of the answer. Raises: KernelError."""
        self._send(kind, NLM_F_REQUEST, payload)
        for answer, body in self._answers():
            if answer == NLMSG_ERROR:
                raise KernelError(error_of(body), name, *operands)
            return body
        raise AssertionError("unreachable")

    def dump(self, kind: int, payload: bytes, *, name: str) -> list[bytes]:
        """Ask for a whole table: the payloads of its entries. Raises: KernelError."""
        self._send(kind, NLM_F_REQUEST | NLM_F_DUMP, payload)
        found = []
        for answer, body in self._answers():
            if answer in (NLMSG_ERROR, NLMSG_DONE):
                code = error_of(body)
                if code:
                    raise KernelError(code, name)
                break
            found.append(body)
        return found

    def _send(self, kind: int, flags: int, payload: bytes) -> None:
        self._sequence += 1
        os.write(self._descriptor, message(kind, flags, self._sequence, payload))

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        """Messages that answer the latest request; older ones are left-overs of an error."""
        while True:
            for kind, sequence, body in messages(os.read(self._descriptor, _RECEIVE_BYTES)):
                if sequence == self._sequence:
                    yield kind, body
