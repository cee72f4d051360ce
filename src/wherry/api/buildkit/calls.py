"""gRPC methods from plain functions: a message in, a message or several out."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from wherry.api.buildkit.failures import failure
from wherry.wire.protobuf import Message

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)

Metadata = Mapping[str, Any]
Answer = Callable[[Request, Metadata], Awaitable[Reply]]
Answers = Callable[[Request, Metadata], AsyncIterator[Reply]]


def answered(
    answer: Answer[Request, Reply], request: type[Request], reply: type[Reply]
) -> Handler:
    """A method with one reply."""

    async def serve(stream: Stream[Request, Reply]) -> None:
        try:
            asked = await stream.recv_message()
            if asked is None:
                return
            said = await answer(asked, stream.metadata or {})
        except Exception as error:
            raise failure(error) from error
        await stream.send_message(said)

    return Handler(serve, Cardinality.UNARY_UNARY, request, reply)


def streamed(
    answers: Answers[Request, Reply], request: type[Request], reply: type[Reply]
) -> Handler:
    """A method with several replies."""

    async def serve(stream: Stream[Request, Reply]) -> None:
        try:
            asked = await stream.recv_message()
            if asked is None:
                return
            async for said in answers(asked, stream.metadata or {}):
                await stream.send_message(said)
        except Exception as error:
            raise failure(error) from error

    return Handler(serve, Cardinality.UNARY_STREAM, request, reply)
