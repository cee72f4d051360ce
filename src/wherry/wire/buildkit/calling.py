"""gRPC with our messages: grpclib's codec for them, and a server of methods by their paths.

Both ends of a session are such a server: the engine on `/grpc`, a client on `/session`.
"""

import logging
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import TypeVar

from grpclib.client import Stream as ClientStream
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server
from grpclib.server import Stream as ServerStream

from wherry.wire.buildkit.errors import Any, RpcStatus
from wherry.wire.protobuf import M, Message, decode, encode

Sent = TypeVar("Sent", bound=Message)
Got = TypeVar("Got", bound=Message)

LARGEST_MESSAGE = 16 << 20
"""Bytes; BuildKit has the same."""
_ENOUGH = 128 << 10
"""Bytes that are worth a write."""

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


class _Methods(dict[str, Handler]):
    """Methods by path; what is not among them is answered, and named."""

    def get(self, path: str, default: object = None) -> Handler:
        return self[path] if path in self else _unknown(path)


def _unknown(path: str) -> Handler:
    """A method that is not there. It says so when it is called."""

    async def refuse(_stream: ServerStream[Message, Message]) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, f"unknown method {path}")

    return Handler(refuse, Cardinality.STREAM_STREAM, Message, Message)


def serving(methods: Mapping[str, Handler]) -> H2Protocol:
    """One connection's protocol, which answers calls."""
    server = Server([], codec=MessageCodec(), status_details_codec=DetailsCodec())
    # A server of grpclib's listens by itself, and answers unknown calls in a way that Go's
    # clients take for a broken connection. We have the connection already, and the answer.
    server._mapping = _Methods(methods)
    return server._protocol_factory()


async def send_all(
    stream: "ClientStream[Sent, Got] | ServerStream[Got, Sent]", messages: Iterable[Sent]
) -> None:
    """Send many small messages, of which each write to the connection takes as many as it can.

    The stream has to be open: its request, or the head of its answer, was sent.
    """
    # A caller's waiting ends with the connection; a server's does by itself.
    with stream._wrapper if isinstance(stream, ClientStream) else nullcontext():
        waiting = bytearray()
        for message in messages:
            waiting += _framed(message)
            if len(waiting) >= _ENOUGH:
                await stream._stream.send_data(bytes(waiting))
                waiting.clear()
        if waiting:
            await stream._stream.send_data(bytes(waiting))


def _framed(message: Message) -> bytes:
    """A message behind its length, as gRPC writes it into a stream."""
    content = encode(message)
    return struct.pack(">xI", len(content)) + content
