"""A connection that was taken over: the head that announces it, and bytes both ways.

`api.hijack` takes it over; whoever got it reads and writes here, and knows nothing of HTTP.
"""

import asyncio
from typing import Protocol

from multidict import CIMultiDict

MOST_HELD = 256 << 10
"""Bytes that are taken from a client before the reader has caught up."""
HEAD_CHECKS = 40
HEAD_CHECK_INTERVAL_S = 0.0005


class Carrier(Protocol):
    """What carries the bytes: a client's connection."""

    transport: asyncio.Transport | None

    async def drained(self) -> None:
        """Returns when what was written is on its way. Raises: ConnectionError."""
        ...

    def resume_raw(self) -> None:
        """There is room again for bytes of the raw stream."""
        ...

    def unread_bytes(self) -> int:
        """How many sent bytes the client has not taken yet."""
        ...


class RawConnection:
    """A connection that was taken over: bytes, both ways."""

    def __init__(self, carrier: Carrier, first: bytes) -> None:
        self._carrier = carrier
        self._received = bytearray(first)
        self._has_news = asyncio.Event()
        self._is_at_end = False
        self._is_lost = asyncio.Event()
        if first:
            self._has_news.set()

    async def read(self) -> bytes:
        """The next bytes from the client; empty when it sends no more.

        Raises: ConnectionResetError when the client is gone.
        """
        while not (self._received or self._is_at_end or self._is_lost.is_set()):
            self._has_news.clear()
            await self._has_news.wait()
        if self._received:
            taken = bytes(self._received)
            self._received.clear()
            self._carrier.resume_raw()
            return taken
        if self._is_lost.is_set():
            raise ConnectionResetError("the client is gone")
        return b""

    async def head_taken(self) -> None:
        """Returns when the client has read the head, or after a moment.

        The Python SDK reads the head through a buffer and what follows past it: output that
        arrived together with the head would be lost to it. dockerd seldom meets this, because
        it is slower.
        """
        for _ in range(HEAD_CHECKS):
            if not self._carrier.unread_bytes():
                return
            await asyncio.sleep(HEAD_CHECK_INTERVAL_S)

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the client doesn't read.

        Raises: ConnectionError when the client is gone.
        """
        transport = self._carrier.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)
        await self._carrier.drained()

    def post(self, data: bytes) -> bool:
        """Send bytes without waiting; whether the client keeps up.

        When it doesn't, wait for `drained` before more is sent.
        """
        transport = self._carrier.transport
        if transport is None or transport.is_closing():
            return True  # Whoever reads will hear of it.
        transport.write(data)
        return transport.get_write_buffer_size() < MOST_HELD

    async def drained(self) -> None:
        """Returns when what was sent is on its way. Raises: ConnectionError."""
        await self._carrier.drained()

    async def lost(self) -> None:
        """Returns when the client is gone."""
        await self._is_lost.wait()

    def close(self) -> None:
        """Send what is left and close."""
        transport = self._carrier.transport
        if transport is not None:
            transport.close()

    def feed(self, data: bytes) -> bool:
        """Take bytes that came; whether there is room for more."""
        self._received += data
        self._has_news.set()
        return len(self._received) < MOST_HELD

    def feed_end(self) -> None:
        """The client has closed its side."""
        self._is_at_end = True
        self._has_news.set()

    def feed_loss(self) -> None:
        """The connection is gone."""
        self._is_lost.set()
        self._has_news.set()


def upgrade_head(headers: CIMultiDict[str], protocol: str) -> bytes:
    """The head that gives the connection to another protocol, as was asked."""
    lines = ["HTTP/1.1 101 UPGRADED", "Connection: Upgrade", f"Upgrade: {protocol}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer_head(headers: CIMultiDict[str], *, content_type: str, upgrades: bool) -> bytes:
    """The head with which a connection is taken over: 101 to who asked for it, else 200."""
    lines = ["HTTP/1.1 101 UPGRADED" if upgrades else "HTTP/1.1 200 OK"]
    lines.append(f"Content-Type: {content_type}")
    if upgrades:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
