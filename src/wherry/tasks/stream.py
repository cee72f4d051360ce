"""An attached session as a stream (`DuplexStream` of the API's services)."""

import asyncio
import socket
from contextlib import suppress

_READ_SIZE = 64 * 1024


class TaskStream:
    """The daemon's end of an attached stream; the shim has the other.

    What is read is framed (`kit.streams`) unless the session has a terminal; what is written is
    stdin. The shim queues 1 MiB for a reader that is slow.
    """

    def __init__(self, end: socket.socket) -> None:
        """Takes the socket over."""
        end.setblocking(False)
        self._end = end

    async def read(self) -> bytes:
        """The next bytes; empty when the output has ended."""
        if self._end.fileno() < 0:
            return b""
        try:
            return await asyncio.get_running_loop().sock_recv(self._end, _READ_SIZE)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Pass bytes to stdin; waits while the process doesn't read. Dropped when it has ended."""
        if self._end.fileno() < 0:
            return
        try:
            await asyncio.get_running_loop().sock_sendall(self._end, data)
        except OSError:
            return

    async def close_stdin(self) -> None:
        """No more input."""
        try:
            self._end.shutdown(socket.SHUT_WR)
        except OSError:
            return

    async def close(self) -> None:
        """Let go; the process goes on."""
        if self._end.fileno() >= 0:
            # A read that is under way ends by it.
            with suppress(OSError):
                self._end.shutdown(socket.SHUT_RDWR)
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._end.fileno())
            loop.remove_writer(self._end.fileno())
            self._end.close()
