"""Taking over a connection: the one place that knows the insides of the HTTP server.

Theory of operation. `attach` and `exec start` turn an HTTP connection into a raw one: the head
of an answer goes out by hand, and from then on bytes flow both ways until either side ends.

What a client sends behind its request belongs to the raw stream, be it in the same segment or
before the answer. The HTTP parser must not see those bytes: without an `Upgrade` header it
would take them for another request. So a request that may lead to a take-over is fed to the
parser alone, cut at its end, and what follows is held until the handler has decided. If the
handler refuses, the held bytes go to the parser after all.

    client                      Connection                       handler
    POST …/attach   ──────────► parser, cut at its end ────────► take_over()
    stdin bytes     ──────────► held                             RawConnection
                                held bytes first, then live ───► read()
    half-close      ──────────► end of input ──────────────────► read() is empty
    reset           ──────────► lost ──────────────────────────► ConnectionResetError
"""

import array
import fcntl
import re
import select
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_protocol import RequestHandler

from wherry.api.raw_connections import MOST_HELD, RawConnection
from wherry.wire.encoding import encode
from wherry.wire.media_types import JSON
from wherry.wire.system import ErrorAnswer

LARGEST_HEAD = 64 << 10
_MAY_TAKE_OVER = re.compile(
    rb"POST /(?:v[0-9.]+/)?(?:containers/[^/ ]+/attach|exec/[^/ ]+/start|grpc|session)[? ]"
)
_METHOD = b"POST "
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


class Connection(RequestHandler):
    """One client's connection: HTTP, until a handler takes it over."""

    __slots__ = (
        "_farewells",
        "_hang_ups",
        "_held",
        "_is_at_end",
        "_is_holding",
        "_opening",
        "_raw",
    )

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self._raw: RawConnection | None = None
        self._is_holding = False
        self._held = bytearray()
        self._opening = bytearray()
        self._is_at_end = False
        self._hang_ups: select.epoll | None = None
        self._farewells: set[Callable[[], object]] = set()

    # -- what the event loop calls -----------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._raw is not None:
            if not self._raw.feed(data):
                self._stop_reading()
        elif self._is_holding:
            self._hold(data)
        elif self._opening or (data and self._may_open_take_over(data)):
            self._feed_opening(data)
        else:
            super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more; what it asked for is still answered."""
        self._is_at_end = True
        if self._raw is not None:
            self._raw.feed_end()
            self._watch_for_hang_up()
            return True
        self._say_farewell()
        self._break_off_bodies()
        is_busy = self._is_busy
        self.close()
        return is_busy

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone."""
        if self._raw is not None:
            self._raw.feed_loss()
        if self._hang_ups is not None:
            self._loop.remove_reader(self._hang_ups.fileno())
            self._hang_ups.close()
            self._hang_ups = None
        self._say_farewell()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What could not even be read as a request is answered in the API's form."""
        text = (message or str(exc) or "malformed request").splitlines()[0].strip()
        answer = web.Response(
            body=encode(ErrorAnswer(message=text)), status=status, content_type=JSON
        )
        answer.force_close()
        return answer

    # -- what handlers call ------------------------------------------------------------------

    def take_over(self, head: bytes) -> RawConnection:
        """Answer with a head of our own, and get the raw connection.

        Raises: ConnectionResetError when the client is gone.
        """
        if self.transport is None:
            raise ConnectionResetError("the client is gone")
        first = bytes(self._held) + self._message_tail
        self._held.clear()
        self._message_tail = b""
        self._is_holding = False
        self._raw = RawConnection(self, first)
        if self._is_at_end:
            self._raw.feed_end()
        self.transport.write(head)
        self._resume_reading()
        return self._raw

    def begin(self) -> None:
        """A request is about to be answered, whose client may have left on the way."""
        if self._is_at_end:
            self._break_off_bodies()

    def release(self) -> None:
        """There will be no take-over: what was held is HTTP after all."""
        if not self._is_holding:
            return
        self._is_holding = False
        held, self._held = bytes(self._held), bytearray()
        self._resume_reading()
        if held:
            self.data_received(held)

    @contextmanager
    def on_farewell(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call back when the client closes its side or is gone, as long as the block runs."""
        if self._is_at_end or self.transport is None:
            callback()
        self._farewells.add(callback)
        try:
            yield
        finally:
            self._farewells.discard(callback)

    def end_watching(self) -> None:
        """The server goes: what has no end of its own, a taken-over or watching one, ends."""
        self._say_farewell()
        if self._raw is not None:
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def unread_bytes(self) -> int:
        """How many sent bytes the client has not taken yet (unix(7), SIOCOUTQ)."""
        if self.transport is None or self.transport.is_closing():
            return 0
        count = array.array("i", [0])
        fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
        return count[0]

    async def drained(self) -> None:
        """Returns when what was written is on its way. Raises: ConnectionError."""
        await self._drain_helper()

    def resume_raw(self) -> None:
        """There is room again for bytes of the raw stream."""
        self._resume_reading()

    @property
    def is_taken_over(self) -> bool:
        """Whether the connection is raw, past any answer in HTTP."""
        return self._raw is not None

    # -- inside ------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        """Whether a request has come and is not answered yet."""
        is_waiting = self._waiter is not None and not self._waiter.done()
        return bool(self._messages) or (self._request_count > 0 and not is_waiting)

    def _break_off_bodies(self) -> None:
        """A body whose end has not come will never be whole: who reads it must not wait."""
        bodies = [body for _message, body in self._messages]
        if self._current_request is not None:
            bodies.append(self._current_request.content)
        for body in bodies:
            if not body.is_eof():
                body.set_exception(ConnectionResetError("the body is cut off"))

    def _may_open_take_over(self, data: bytes) -> bool:
        """Whether this may be the beginning of such a request, as far as it has come."""
        if self._is_busy or data[: len(_METHOD)] != _METHOD[: len(data)]:
            return False
        return b"\n" not in data or _MAY_TAKE_OVER.match(data) is not None

    def _feed_opening(self, data: bytes) -> None:
        """Collect a request that may lead to a take-over, then feed exactly that."""
        self._opening += data
        is_other = b"\n" in self._opening and not _MAY_TAKE_OVER.match(self._opening)
        end = -1 if is_other else _end_of_request(self._opening)
        if end is None and len(self._opening) < LARGEST_HEAD:
            return
        opening, self._opening = bytes(self._opening), bytearray()
        if end is None or end < 0:
            super().data_received(opening)
            return
        self._is_holding = True
        super().data_received(opening[:end])
        if opening[end:]:
            self._hold(opening[end:])

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= MOST_HELD:
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.transport is not None and not self._is_at_end:
            self.transport.resume_reading()

    def _watch_for_hang_up(self) -> None:
        """Notice when a client that has half-closed goes away for good.

        The event loop reads no more after the end of input, so that a silent container's
        attachment would outlive its client. A Unix socket whose peer is closed, not just
        shut down for writing, reports EPOLLHUP, even to who asks for no event at all.
        """
        if self.transport is None or self._hang_ups is not None:
            return
        descriptor = self.transport.get_extra_info("socket").fileno()
        self._hang_ups = select.epoll()
        self._hang_ups.register(descriptor, select.EPOLLET)
        self._loop.add_reader(self._hang_ups.fileno(), self.abort)

    def _say_farewell(self) -> None:
        for callback in tuple(self._farewells):
            callback()


class TakenOver(web.StreamResponse):
    """Tells the HTTP server that the answer is none of its business, and to end there."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing to send: it has been sent."""
        self._eof_sent = True
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing to end."""


def _end_of_request(data: bytearray) -> int | None:
    """Where the request ends; None when it isn't all there, -1 when only a parser can know."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    head = bytes(data[: head_end + 4])
    if _CHUNKED.search(head):
        return -1
    length = _CONTENT_LENGTH.search(head)
    end = head_end + 4 + (int(length[1]) if length else 0)
    return end if len(data) >= end else None
