"""Packets of a container as a pcapng stream, read where the container is.

A packet socket sees what passes every interface of the namespace that it was opened in
(packet(7)), loopback too. The format keeps the interfaces apart and bears the container's name in
a comment (draft-ietf-opsawg-pcapng; every `tcpdump` and Wireshark of this decade reads it):

    section header     comment: whose packets these are
    interface          one per interface, written before its first packet
    enhanced packet    interface, time in nanoseconds, direction, bytes
"""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Iterator

from wherry.model.containers import Container
from wherry.model.errors.containers import ContainerNotRunning

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_COMMENT, _NAME, _RESOLUTION, _FLAGS, _END = 1, 2, 9, 2, 0
_NANOSECONDS = b"\x09"
_INBOUND, _OUTBOUND = 1, 2
_PACKET_OUTGOING = 4
_SO_TIMESTAMPNS = 35
_TIMESTAMP = struct.Struct("=qq")
_LARGEST_BYTES = 262144
_BUFFER_BYTES = 4 << 20
_MOST_AT_ONCE = 256
_LOOK_S = 1.0


async def capture(
    container: Container, packet_socket: int, is_alive: Callable[[], bool], *, count: int
) -> AsyncGenerator[bytes, None]:
    """Blocks of a pcapng stream, until the container ends or `count` packets were seen.

    Zero means all of them. The socket is closed with the generator.
    """
    with socket.socket(fileno=packet_socket) as packets:
        packets.setblocking(False)
        packets.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        writer = PcapngWriter()
        yield section(f"wherry capture of {container.name} ({container.id[:12]})")
        left = count
        while is_alive():
            if not await _readable(packets):
                continue
            for block in writer.blocks(packets, most=min(left, _MOST_AT_ONCE) or _MOST_AT_ONCE):
                yield block
            if count:
                left = count - writer.seen
                if left <= 0:
                    return


def require_alive(container: Container) -> None:
    """Raises: ContainerNotRunning."""
    if not container.is_alive:
        raise ContainerNotRunning(container.id)


class PcapngWriter:
    """Turns packets into blocks; it knows the interfaces that it has written already."""

    def __init__(self) -> None:
        self.seen = 0
        self._interfaces: dict[str, int] = {}

    def blocks(self, packets: socket.socket, *, most: int) -> Iterator[bytes]:
        """What waits in a socket now, at most so many packets."""
        for _ in range(most):
            try:
                data, ancillary, _flags, origin = packets.recvmsg(_LARGEST_BYTES, 64)
            except BlockingIOError:
                return
            interface, kind = origin[0], origin[2]
            if interface == "lo" and kind == _PACKET_OUTGOING:
                continue  # it comes in at once, and once is enough
            if interface not in self._interfaces:
                self._interfaces[interface] = len(self._interfaces)
                yield _interface(interface)
            self.seen += 1
            yield _packet(
                self._interfaces[interface],
                _time_ns(ancillary),
                data,
                direction=_OUTBOUND if kind == _PACKET_OUTGOING else _INBOUND,
            )


def section(comment: str) -> bytes:
    """The header of a stream."""
    return _block(
        _SECTION, struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1), ((_COMMENT, comment.encode()),)
    )


def _interface(name: str) -> bytes:
    fixed = struct.pack("=HHI", _ETHERNET, 0, _LARGEST_BYTES)
    return _block(_INTERFACE, fixed, ((_NAME, name.encode()), (_RESOLUTION, _NANOSECONDS)))


def _packet(interface: int, at_ns: int, data: bytes, *, direction: int) -> bytes:
    fixed = struct.pack("=IIIII", interface, at_ns >> 32, at_ns & 0xFFFFFFFF, len(data), len(data))
    flags = struct.pack("=I", direction)
    return _block(_PACKET, fixed + _padded(data), ((_FLAGS, flags),))


def _block(kind: int, body: bytes, options: tuple[tuple[int, bytes], ...]) -> bytes:
    written = b"".join(
        struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options
    )
    body += written + struct.pack("=HH", _END, 0)
    length = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _time_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESTAMP.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return 0


async def _readable(packets: socket.socket) -> bool:
    """Whether a packet came within a second; then it is time to look whether anybody lives."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(packets.fileno(), came.set)
    try:
        await asyncio.wait_for(came.wait(), _LOOK_S)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(packets.fileno())
    return True
