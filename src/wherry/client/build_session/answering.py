"""How a session answers: methods from plain functions, and the words for what is not here."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import unquote_plus

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream
from multidict import MultiDict

from wherry.kit.path_patterns import BadPattern
from wherry.wire.protobuf import Message

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)


class NotHere(Exception):
    """The engine asks for what the user did not offer."""


@contextmanager
def refusing() -> Iterator[None]:
    """What goes wrong here is told there."""
    try:
        yield
    except (NotHere, FileNotFoundError) as problem:
        raise GRPCError(Status.NOT_FOUND, str(problem)) from problem
    except (OSError, ValueError, BadPattern) as problem:
        raise GRPCError(Status.UNKNOWN, str(problem)) from problem


def answered(
    answer: Callable[[Request], Reply], request: type[Request], reply: type[Reply]
) -> Handler:
    """A method with one reply."""

    async def serve(stream: Stream[Request, Reply]) -> None:
        asked = await stream.recv_message()
        if asked is None:
            return
        with refusing():
            said = answer(asked)
        await stream.send_message(said)

    return Handler(serve, Cardinality.UNARY_UNARY, request, reply)


def said(stream: Stream[Request, Reply]) -> Mapping[str, list[str]]:
    """What a call says beside its messages; what is no plain text is quoted, and marked."""
    metadata = stream.metadata if stream.metadata is not None else MultiDict[str]()
    found: dict[str, list[str]] = {}
    for key, value in metadata.items():
        is_quoted = metadata.get(f"{key}-encoded") == "1"
        text = unquote_plus(str(value), errors="surrogateescape") if is_quoted else str(value)
        found.setdefault(key, []).append(text)
    return found
