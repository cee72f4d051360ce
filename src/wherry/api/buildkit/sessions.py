"""Sessions: what clients offer while their builds run, by the id that they gave."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar
from urllib.parse import quote_plus

from grpclib.client import Stream, StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from h2.exceptions import StreamClosedError

from wherry.api.buildkit.links import SessionChannel
from wherry.api.call import SessionOffer
from wherry.api.raw_connections import RawConnection
from wherry.model.errors import InvalidValue
from wherry.model.errors.builds import ClientGone
from wherry.wire.protobuf import MalformedMessage, Message

Reply = TypeVar("Reply", bound=Message)
Request = TypeVar("Request", bound=Message)

SESSION_PATIENCE_S = 5.0
"""How long a build waits for its session: the two connections come in either order."""


class NotOffered(InvalidValue):
    """The client serves the method, and has not what was asked for."""


class Session:
    """One client's offers."""

    def __init__(self, offer: SessionOffer) -> None:
        self.id = offer.session_id
        self.shared_key = offer.shared_key
        self._methods = offer.methods
        self._channel = SessionChannel()
        self._is_over = asyncio.Event()

    def offers(self, method: str) -> bool:
        """Whether the client serves a method, by its path."""
        return method.lower() in self._methods

    async def carry(self, client: RawConnection) -> None:
        """Keep the connection going until the client leaves."""
        try:
            await self._channel.carry(client)
        finally:
            self._is_over.set()

    async def ready(self) -> None:
        """Returns when the client can be called: until then some never notice a refusal."""
        await self._channel.has_spoken.wait()

    async def lost(self) -> None:
        """Returns when the client is gone."""
        await self._is_over.wait()

    async def call(
        self,
        method: str,
        request: Request,
        reply: type[Reply],
        metadata: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """Ask the client something; None when it has no such thing.

        Raises: InvalidValue with the client's reason, ClientGone.
        """
        if not self.offers(method):
            return None
        asked = UnaryUnaryMethod[Request, Reply](self._channel, method, type(request), reply)
        try:
            with _reasons():
                return await asked(request, metadata=_headers(metadata or {}))
        except NotOffered:
            return None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        request: type[Request],
        metadata: Mapping[str, str | Sequence[str]],
        reply: type[Reply],
    ) -> AsyncIterator[Stream[Request, Reply]]:
        """A stream of messages in both directions.

        Raises: InvalidValue with the client's reason, ClientGone.
        """
        if not self.offers(method):
            raise InvalidValue(f"method {method} not supported by the client")
        opened = StreamStreamMethod[Request, Reply](self._channel, method, request, reply)
        with _reasons():
            async with opened.open(metadata=_headers(metadata)) as stream:
                try:
                    yield stream
                except StreamClosedError as closed:
                    # The client has ended the call while we still sent; it has said why.
                    raise StreamTerminatedError("the client has ended the call") from closed


class Sessions:
    """All sessions that are open."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._came = asyncio.Condition()

    async def carry(self, session: Session, client: RawConnection) -> None:
        """Serve a session until its client leaves."""
        async with self._came:
            self._open[session.id] = session
            self._came.notify_all()
        try:
            await session.carry(client)
        finally:
            if self._open.get(session.id) is session:
                del self._open[session.id]

    async def get(self, session_id: str) -> Session:
        """A session by its id. Raises: InvalidValue when it doesn't come."""
        try:
            async with asyncio.timeout(SESSION_PATIENCE_S):
                async with self._came:
                    await self._came.wait_for(lambda: session_id in self._open)
                    session = self._open[session_id]
                await session.ready()
        except TimeoutError:
            raise InvalidValue(f"no active session for {session_id}") from None
        return session


@contextmanager
def _reasons() -> Iterator[None]:
    """What went wrong at the client, as a failure of ours."""
    try:
        yield
    except GRPCError as refusal:
        kind = InvalidValue
        if refusal.status in (Status.NOT_FOUND, Status.UNIMPLEMENTED):
            kind = NotOffered
        raise kind(refusal.message or refusal.status.name) from refusal
    except MalformedMessage as problem:
        raise InvalidValue(f"the client sends what is no message: {problem}") from problem
    except (StreamTerminatedError, ConnectionError) as loss:
        raise ClientGone() from loss


def _headers(metadata: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
    """Metadata as BuildKit writes it: what is not plain text is quoted, and marked."""
    headers = []
    for key, value in metadata.items():
        texts = [value] if isinstance(value, str) else value
        is_plain = all(text.isascii() and text.isprintable() for text in texts)
        if not is_plain:
            headers.append((f"{key}-encoded", "1"))
        headers += [
            (key, text if is_plain else quote_plus(text, errors="surrogateescape"))
            for text in texts
        ]
    return headers
