"""The stream of an exec session, which ends with the session and not a moment before."""

import asyncio
from collections.abc import Callable

from wherry.tasks import TaskStream


class SessionStream:
    """An attached session (`DuplexStream` of the API's services).

    Clients inspect a session as soon as its stream has ended, to learn the exit code. So the
    end of the output is told only once the end of the session is on record; a process that
    closes its output and runs on keeps the stream open, as with Docker.
    """

    def __init__(
        self,
        stream: TaskStream,
        recorded: "asyncio.Task[None]",
        *,
        on_detached: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._recorded = recorded
        self._on_detached = on_detached

    async def read(self) -> bytes:
        """The next bytes; empty when the session has ended and its exit code is known."""
        data = await self._stream.read()
        if not data:
            await asyncio.wait((self._recorded,))
        return data

    async def write(self, data: bytes) -> None:
        """Pass bytes to stdin; waits while the process doesn't read."""
        await self._stream.write(data)

    async def close_stdin(self) -> None:
        """No more input."""
        await self._stream.close_stdin()

    def tell_detached(self) -> None:
        """The user typed the keys to leave."""
        self._on_detached()

    async def close(self) -> None:
        """Let go; the process goes on."""
        await self._stream.close()
