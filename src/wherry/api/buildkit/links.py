"""HTTP/2 on connections that were taken over, as gRPC's server or as its client.

grpclib wants a transport that it writes to without waiting. `_Link` is one: it tells HTTP/2 to
pause when the client doesn't keep up, and a task beside the reading one lets it go on.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from grpclib.client import Channel
from grpclib.const import Handler
from grpclib.protocol import H2Protocol, Stream

from wherry.api.raw_connections import RawConnection
from wherry.wire.buildkit.calling import LARGEST_MESSAGE, DetailsCodec, MessageCodec, serving
from wherry.wire.protobuf import MalformedMessage


class _BoundedStream(Stream):
    """A stream whose messages have a largest size: a peer may announce what it likes."""

    async def recv_data(self, size: int) -> bytes:
        if size > LARGEST_MESSAGE:
            raise MalformedMessage(f"a message of {size} bytes, of {LARGEST_MESSAGE} at most")
        return await super().recv_data(size)


class _Link(asyncio.Transport):
    """A taken-over connection as a transport."""

    def __init__(self, client: RawConnection) -> None:
        super().__init__()
        self._client = client
        self._is_closing = False
        self.is_behind = asyncio.Event()
        """The client does not keep up."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._client.post(bytes(data)):
            self.is_behind.set()

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True
        self._client.close()


async def serve_methods(client: RawConnection, methods: Mapping[str, Handler]) -> None:
    """Answer calls until the client leaves; what is under way then is cancelled."""
    await _carry(client, serving(methods))


class SessionChannel(Channel):
    """Calls to a client, on the connection that it gave us."""

    def __init__(self) -> None:
        super().__init__(codec=MessageCodec(), status_details_codec=DetailsCodec())
        self._speaking = self._protocol_factory()
        self._protocol = self._speaking
        self.has_spoken = asyncio.Event()
        """Something came from the client: it is ready to be called."""

    async def carry(self, client: RawConnection) -> None:
        """Keep it going until the client leaves; calls under way fail then."""
        try:
            await _carry(client, self._speaking, self.has_spoken)
        finally:
            self.close()


async def _carry(
    client: RawConnection, protocol: H2Protocol, has_spoken: asyncio.Event | None = None
) -> None:
    link = _Link(client)
    protocol.connection_made(link)
    connection = protocol.connection
    connection.create_stream = partial(  # type: ignore[method-assign]
        _BoundedStream, connection, connection._connection, link
    )
    catching_up = asyncio.ensure_future(_catch_up(client, link, protocol))
    try:
        with suppress(ConnectionError):
            while data := await client.read():
                if has_spoken is not None:
                    has_spoken.set()
                protocol.data_received(data)
                if link.is_closing():
                    break
    finally:
        catching_up.cancel()
        protocol.connection_lost(None)
        client.close()
        await asyncio.wait([catching_up])


async def _catch_up(client: RawConnection, link: _Link, protocol: H2Protocol) -> None:
    with suppress(ConnectionError):
        while True:
            await link.is_behind.wait()
            protocol.pause_writing()
            await client.drained()
            link.is_behind.clear()
            protocol.resume_writing()
