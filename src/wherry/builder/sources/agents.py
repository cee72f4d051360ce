"""SSH agents that listen on sockets of this host: for clients that share it with the engine."""

import asyncio
from collections.abc import Mapping

_PIECE_BYTES = 64 * 1024


class SocketAgents:
    """Agents by id, each a socket's path."""

    def __init__(self, sockets: Mapping[str, str]) -> None:
        self._sockets = sockets

    async def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return name in self._sockets

    async def forward(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Join a connection to the agent. Raises: OSError, when nobody listens."""
        answers, questions = await asyncio.open_unix_connection(self._sockets[name])
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, questions))
                group.create_task(_pass_on(answers, writer))
        finally:
            questions.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
