"""One request as a handler sees it: parameters, query, body, and the answers it may give."""

import asyncio
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Protocol, TypeVar

from aiohttp import web
from multidict import CIMultiDict

from wherry.api import versions
from wherry.api.errors import Refusal
from wherry.api.hijack import Connection
from wherry.api.raw_connections import RawConnection
from wherry.api.services import Services
from wherry.kit.clock import Clock
from wherry.kit.timestamps import parse_moment
from wherry.kit.values import dataclass
from wherry.model.builds import BuildRequest
from wherry.model.errors import InvalidValue
from wherry.model.outcomes import Progress
from wherry.model.queries import Filters
from wherry.wire.builds import BuildStep
from wherry.wire.encoding import encode, to_document
from wherry.wire.filters import decode_filters
from wherry.wire.lenient import Decoder, InvalidJson
from wherry.wire.media_types import JSON, MalformedMediaType, parse_media_type
from wherry.wire.versions import NEWEST, ApiVersion

T = TypeVar("T")

LARGEST_BODY = 4 << 20
"""Bytes of a JSON body; streams have no limit."""
BODY_TIMEOUT_S = 60.0

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NEGATIVE = frozenset({"", "0", "no", "false", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOffer:
    """What a client says of its session as it opens it."""

    session_id: str
    shared_key: str
    """The same for all sessions that send the same directories; empty where nobody can tell."""
    methods: frozenset[str]
    """What it serves, by path, in lower case."""


class BuildDoor(Protocol):
    """BuildKit's own protocol, on connections that were taken over."""

    async def serve(self, client: RawConnection) -> None:
        """A connection on which the client calls us; returns when it leaves."""
        ...

    async def joined(self, session_id: str) -> None:
        """Returns when a session is there. Raises: InvalidValue when it does not come."""
        ...

    def build(
        self, ref: str, session_id: str, request: BuildRequest, *, tells_result: bool
    ) -> AsyncIterator[Progress]:
        """A build that was asked for elsewhere, of a client that has a session here.

        `tells_result`: in the words of our own client, behind the story.
        """
        ...

    async def steps(self, ref: str) -> Sequence[BuildStep]:
        """What is known of the steps of a build. Raises: BuildNotFound."""
        ...

    async def join(self, client: RawConnection, offer: SessionOffer) -> None:
        """A connection on which we call the client; returns when it leaves."""
        ...


class Call:
    """One request."""

    __slots__ = (
        "build_door",
        "clock",
        "endpoint",
        "parameter",
        "request",
        "server_header",
        "services",
        "version",
    )

    def __init__(
        self,
        *,
        request: web.BaseRequest,
        services: Services,
        clock: Clock,
        version: ApiVersion,
        endpoint: str,
        parameter: str,
        server_header: str,
        build_door: "Callable[[], BuildDoor]",
    ) -> None:
        self.request = request
        self.services = services
        self.clock = clock
        self.version = version
        self.endpoint = endpoint
        """Method and template: what the version ladder goes by."""
        self.parameter = parameter
        """What stood in the path where the template has its parameter."""
        self.server_header = server_header
        self.build_door = build_door
        """BuildKit's door, made when it is wanted first."""

    # -- the query ---------------------------------------------------------------------------

    def text(self, name: str, default: str = "") -> str:
        """A query parameter as it came."""
        value = self.request.query.get(name, default)
        if "\x00" in value:
            raise InvalidValue(f'invalid value for "{name}": it contains a NUL byte')
        return value

    def texts(self, name: str) -> Sequence[str]:
        """All values of a query parameter."""
        return self.request.query.getall(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A query parameter as a claim: anything but empty, 0, no, false and none is true."""
        value = self.request.query.get(name)
        return default if value is None else value.strip().lower() not in _NEGATIVE

    def integer(self, name: str) -> int | None:
        """A query parameter as a number; None when absent or empty.

        Raises: InvalidValue with Go's text.
        """
        text = self.request.query.get(name, "")
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            raise InvalidValue(f'strconv.Atoi: parsing "{text}": invalid syntax')
        return int(text)

    def required_size(self, name: str) -> int:
        """A number of rows or columns.

        Raises: InvalidValue.
        """
        text = self.request.query.get(name, "")
        if not (text.isascii() and text.isdigit()):
            raise InvalidValue(f'strconv.ParseUint: parsing "{text}": invalid syntax')
        size = int(text) if len(text) < 19 else 1 << 63
        if size > 65535:
            raise InvalidValue(f'strconv.ParseUint: parsing "{text}": value out of range')
        return size

    def moment(self, name: str) -> int | None:
        """A query parameter as a point in time, in nanoseconds; None when absent or zero.

        Raises: InvalidValue.
        """
        text = self.text(name)
        if text in ("", "0"):
            return None
        try:
            return parse_moment(text)
        except ValueError:
            raise InvalidValue(f'invalid value for "{name}": {text!r} is not a time') from None

    def filters(self) -> Filters:
        """The `filters` parameter; which keys there may be is the engine's to say.

        Raises: InvalidValue.
        """
        try:
            return decode_filters(self.text("filters"))
        except InvalidJson as error:
            raise InvalidValue(str(error)) from error

    # -- the body ----------------------------------------------------------------------------

    async def json(self, decoder: Decoder[T]) -> T | None:
        """The body; None when there is none.

        Raises: InvalidValue, Refusal.
        """
        content_type = self.request.headers.get("Content-Type", "")
        has_body = self.request.body_exists and self.request.content_length != 0
        if not has_body and not content_type:
            return None
        _check_content_type(content_type)
        if not has_body:
            return None
        body = await self._bounded_body()
        try:
            value = decoder.decode(body)
        except InvalidJson as error:
            if str(error) == "EOF":
                raise InvalidValue("invalid JSON: got EOF while reading request body") from error
            raise InvalidValue(f"invalid JSON: {error}") from error
        if b"\\u0000" in body and _has_nul(to_document(value)):
            raise InvalidValue("invalid JSON: a string contains a NUL byte")
        return value

    async def _bounded_body(self) -> bytes:
        pieces = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                await self._ask_for_body()
                async for piece in self.request.content.iter_any():
                    pieces += piece
                    if len(pieces) > LARGEST_BODY:
                        raise Refusal(413, f"request body is larger than {LARGEST_BODY} bytes")
        except TimeoutError:
            raise Refusal(408, "the request body did not arrive in time") from None
        return bytes(pieces)

    async def _ask_for_body(self) -> None:
        """Tell a client that waits for it to go on (RFC 9110, section 10.1.1)."""
        if self.request.headers.get("Expect", "").lower() == "100-continue":
            await self.request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.request.writer.output_size = 0

    async def body_stream(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        await self._ask_for_body()
        async for piece in self.request.content.iter_any():
            yield piece

    # -- answers -----------------------------------------------------------------------------

    def headers(self, content_type: str = "") -> CIMultiDict[str]:
        """The headers that every answer has."""
        return common_headers(self.server_header, content_type)

    def json_answer(self, value: object, *, status: int = 200) -> web.Response:
        """A shape, downgraded to the client's version."""
        body = encode(self.downgraded(value))
        return web.Response(body=body, status=status, headers=self.headers(JSON))

    def downgraded(self, value: object) -> object:
        """A shape, or what the client's version has in its place."""
        steps = versions.response_steps(self.endpoint, self.version)
        return versions.downgrade(steps, to_document(value)) if steps else value

    def document_answer(self, document: bytes, content_type: str = JSON) -> web.Response:
        """Bytes that are encoded already."""
        return web.Response(body=document, headers=self.headers(content_type))

    def empty_answer(self, status: int = 204) -> web.Response:
        """A status that says it all."""
        return web.Response(status=status, headers=self.headers())

    async def stream_answer(
        self, content_type: str = JSON, more_headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """An answer whose headers are sent now and whose body follows piece by piece."""
        headers = self.headers(content_type)
        headers.update(more_headers or {})
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(self.request)
        return answer

    async def pieces_answer(
        self,
        content: AsyncGenerator[bytes, None],
        more_headers: Mapping[str, str],
        content_type: str,
    ) -> web.StreamResponse:
        """A stream whose first piece decides whether this is an answer or a failure."""
        first = await anext(content, b"")
        try:
            answer = await self.stream_answer(content_type, more_headers)
            await answer.write(first)
            async for piece in content:
                await answer.write(piece)
        finally:
            await content.aclose()
        return answer

    @contextmanager
    def ended_by_farewell(self) -> Iterator[None]:
        """Cancel the handler when the client leaves: only what it asked to watch goes on."""
        task = asyncio.current_task()
        assert task is not None
        with self.connection.on_farewell(task.cancel):
            yield

    @property
    def connection(self) -> Connection:
        """The connection that the request came on."""
        connection = self.request.protocol
        assert isinstance(connection, Connection)
        return connection

    @property
    def traits(self) -> versions.Traits:
        """How the client's version behaves where behaviour, not a field, differs."""
        return versions.traits(self.version)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


def common_headers(server_header: str, content_type: str = "") -> CIMultiDict[str]:
    """The headers that every answer has, of whatever version."""
    headers = CIMultiDict(
        {
            "Api-Version": str(NEWEST),
            "Docker-Experimental": "false",
            "Ostype": "linux",
            "Server": server_header,
        }
    )
    if content_type:
        headers["Content-Type"] = content_type
    return headers


def _has_nul(document: object) -> bool:
    """Whether any text has a NUL in it, which no path, name or argument can have."""
    match document:
        case str():
            return "\x00" in document
        case list():
            return any(_has_nul(each) for each in document)
        case dict():
            return any(_has_nul(key) or _has_nul(each) for key, each in document.items())
        case _:
            return False


def _check_content_type(header: str) -> None:
    try:
        media_type = parse_media_type(header)
    except MalformedMediaType as error:
        raise InvalidValue(f"malformed Content-Type header ({header}): {error}") from error
    if media_type != JSON:
        raise InvalidValue(f"unsupported Content-Type header ({header}): must be '{JSON}'")
