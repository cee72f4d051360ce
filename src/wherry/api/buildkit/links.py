"""HTTP/2 on connections that were taken over, as gRPC's server or as its client.

grpclib wants a transport that it writes to without waiting. `_Link` is one: it tells HTTP/2 to
pause when the client doesn't keep up, and a task beside the reading one lets it go on.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from grpclib.client import Channel
from grpclib.const import Handler, Status
from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase
from grpclib.protocol import H2Protocol, Stream
from grpclib.server import Server

from wherry.api.hijack import RawConnection
from wherry.wire.buildkit.errors import Any, RpcStatus
from wherry.wire.protobuf import M, MalformedMessage, Message, decode, encode

LARGEST_MESSAGE = 16 << 20
"""Bytes; BuildKit has the same."""

# Each header of each call is a line of theirs at the level DEBUG, which a daemon may have set.
logging.getLogger("hpack").setLevel(logging.INFO)


class MessageCodec(CodecBase):
    """Our messages, for grpclib."""

    __content_subtype__ = "proto"

    def encode(self, message: Message, message_type: type[Message]) -> bytes:
        """A message's bytes."""
        return encode(message)

    def decode(self, data: bytes, message_type: type[M]) -> M:
        """Raises: MalformedMessage."""
        return decode(message_type, data)


class DetailsCodec(StatusDetailsCodecBase):
    """What is said of a failure beside its text."""

    def encode(self, status: Status, message: str | None, details: Sequence[Any]) -> bytes:
        """As google.rpc.Status."""
        return encode(RpcStatus(code=status.value, message=message or "", details=[*details]))

    def decode(self, status: Status, message: str | None, data: bytes) -> list[Any]:
        """The details alone."""
        return decode(RpcStatus, data).details


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


class Methods(dict[str, Handler]):
    """Methods by path; what is not among them is answered, and named, by `unknown`."""

    def __init__(self, methods: Mapping[str, Handler], unknown: Callable[[str], Handler]) -> None:
        super().__init__(methods)
        self._unknown = unknown

    def get(self, path: str, default: object = None) -> Handler:
        return self[path] if path in self else self._unknown(path)


async def serve_methods(client: RawConnection, methods: Methods) -> None:
    """Answer calls until the client leaves; what is under way then is cancelled."""
    server = Server([], codec=MessageCodec(), status_details_codec=DetailsCodec())
    # A server of grpclib's listens by itself, and answers unknown calls in a way that Go's
    # clients take for a broken connection. We have the connection already, and the answer.
    server._mapping = methods
    await _carry(client, server._protocol_factory())


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
