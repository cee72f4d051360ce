"""A client of BuildKit's door that a test steers message by message: no program does this."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from grpclib.client import Channel, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler
from grpclib.protocol import H2Protocol
from grpclib.server import Stream

from wherry.wire.buildkit.calling import DetailsCodec, MessageCodec, serving
from wherry.wire.buildkit.files import Packet
from wherry.wire.protobuf import Message

FILE_SYNC = "/moby.filesync.v1.FileSync/DiffCopy"
Sender = Callable[[Stream[Packet, Packet], Mapping[str, str]], Awaitable[None]]
"""What a client does when it is asked for files."""


class Raw(Message):
    """Bytes that take the place of a message."""

    content: bytes = b""


class _RawCodec(MessageCodec):
    def encode(self, message: Message, message_type: type[Message]) -> bytes:
        return (
            message.content if isinstance(message, Raw) else super().encode(message, message_type)
        )


class Caller(Channel):
    """Calls to the engine on an upgraded connection."""

    def __init__(self, protocol: H2Protocol) -> None:
        super().__init__(codec=_RawCodec(), status_details_codec=DetailsCodec())
        self._protocol = protocol

    async def ask(
        self, path: str, request: Message, reply: type[Message], **metadata: str
    ) -> Message:
        """One reply."""
        method = UnaryUnaryMethod(self, path, type(request), reply)
        named = {key.replace("_", "-"): value for key, value in metadata.items()}
        return await method(request, metadata=named)

    async def listen(self, path: str, request: Message, reply: type[Message]) -> list[Message]:
        """All replies."""
        return await UnaryStreamMethod(self, path, type(request), reply)(request)


async def upgraded(path: str, target: str, headers: Mapping[str, str]) -> socket.socket:
    """A connection that the engine has given to HTTP/2."""
    loop = asyncio.get_running_loop()
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    await loop.sock_connect(client, path)
    lines = [f"POST {target} HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: h2c"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    await loop.sock_sendall(client, ("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = await loop.sock_recv(client, 1)
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 101 "), head
    return client


@asynccontextmanager
async def caller(path: str) -> AsyncIterator[Caller]:
    """A connection on which the engine is called."""
    client = await upgraded(path, "/grpc", {})
    loop = asyncio.get_running_loop()
    made = Channel(codec=MessageCodec(), status_details_codec=DetailsCodec())
    _transport, protocol = await loop.create_unix_connection(made._protocol_factory, sock=client)
    calling = Caller(protocol)
    try:
        yield calling
    finally:
        calling.close()


@asynccontextmanager
async def session(path: str, session_id: str, sender: Sender) -> AsyncIterator[asyncio.Transport]:
    """A session that offers directories; its connection, to be broken."""

    async def serve(stream: Stream[Packet, Packet]) -> None:
        await sender(stream, {key: str(value) for key, value in (stream.metadata or {}).items()})

    headers = {
        "X-Docker-Expose-Session-Uuid": session_id,
        "X-Docker-Expose-Session-Grpc-Method": FILE_SYNC,
    }
    client = await upgraded(path, "/session", headers)
    handler = Handler(serve, Cardinality.STREAM_STREAM, Packet, Packet)
    loop = asyncio.get_running_loop()
    transport, _protocol = await loop.create_unix_connection(
        lambda: serving({FILE_SYNC: handler}), sock=client
    )
    try:
        yield transport
    finally:
        transport.close()
