"""HTTP/1.1 as a client speaks it, without any input or output: bytes in, bytes out.

Theory of operation. `request_bytes` makes the head of a request. A `ResponseParser` is fed what
arrives and gives the head, then the decoded body piece by piece. Nothing is unbounded: the head,
a chunk-size line and the trailers have limits, and a body is handed on as it comes. When the
connection is to be taken over (attach, exec), the caller takes `rest()` after the head: the
bytes that came in the same segment belong to the raw stream (RFC 9112 section 6 and 9.9).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple

from wherry.client.errors import ProtocolError

LARGEST_HEAD = 64 * 1024
LARGEST_CHUNK_LINE = 1024
_BODILESS = (204, 304)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/:@,")


class ResponseHead(NamedTuple):
    """Status line and header fields; the names are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]

    @property
    def keeps_connection(self) -> bool:
        """Whether another request may follow on the same connection."""
        return "close" not in self.headers.get("connection", "").lower()


class _Part(Enum):
    HEAD = auto()
    SIZED = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    UNTIL_CLOSE = auto()
    DONE = auto()


def percent_encode(value: str) -> str:
    """A path segment or query value in which everything unusual is escaped (RFC 3986)."""
    raw = value.encode(errors="surrogateescape")
    return "".join(chr(each) if each in _UNRESERVED else f"%{each:02X}" for each in raw)


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """`?a=b&c=d`, or nothing when there are no pairs."""
    shown = "&".join(f"{percent_encode(name)}={percent_encode(value)}" for name, value in pairs)
    return f"?{shown}" if shown else ""


def request_bytes(method: str, target: str, headers: Mapping[str, str | Sequence[str]]) -> bytes:
    """The head of a request, up to and including the empty line.

    A name with several values is written once for each of them.

    Raises: ValueError for a line break or control character in it.
    """
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [
        f"{name}: {value}"
        for name, given in headers.items()
        for value in ([given] if isinstance(given, str) else given)
    ]
    for line in lines:
        if not line.isprintable():
            raise ValueError(f"not printable in a request head: {line!r}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk_bytes(payload: bytes) -> bytes:
    """One chunk of a body of unknown length; an empty payload ends the body."""
    return b"%x\r\n%s\r\n" % (len(payload), payload)


class ResponseParser:
    """Reads one response out of the bytes of a connection."""

    def __init__(self, *, method: str = "GET") -> None:
        self._method = method
        self._part = _Part.HEAD
        self._pending = bytearray()
        self._missing = 0
        self.head: ResponseHead | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been taken."""
        return self._part is _Part.DONE

    @property
    def has_pending(self) -> bool:
        """Whether bytes came that no one has taken yet."""
        return bool(self._pending)

    def feed(self, received: bytes) -> None:
        """Take bytes as they came; none means that the peer closed its side.

        Raises: ProtocolError.
        """
        if not received:
            self._end_of_stream()
            return
        self._pending += received
        if self._part is _Part.HEAD:
            self._read_head()

    def body(self) -> bytes:
        """The decoded body bytes that are there now. Raises: ProtocolError."""
        pieces = []
        while (piece := self._next_piece()) is not None:
            pieces.append(piece)
        return b"".join(pieces)

    def rest(self) -> bytes:
        """What came behind the head, undecoded, for a connection that is taken over."""
        taken = bytes(self._pending)
        self._pending.clear()
        self._part = _Part.DONE
        return taken

    def _read_head(self) -> None:
        while self._part is _Part.HEAD:
            end = self._pending.find(b"\r\n\r\n")
            if end < 0:
                if len(self._pending) > LARGEST_HEAD:
                    raise ProtocolError("the response's head is too large")
                return
            if end > LARGEST_HEAD:
                raise ProtocolError("the response's head is too large")
            head = parse_head(bytes(self._pending[:end]))
            del self._pending[: end + 4]
            if 100 <= head.status < 200 and head.status != 101:
                continue  # 100 Continue and its like come before the answer.
            self.head = head
            self._part = self._first_body_part(head)

    def _first_body_part(self, head: ResponseHead) -> _Part:
        if self._method == "HEAD" or head.status in _BODILESS:
            return _Part.DONE
        if head.status == 101:
            return _Part.UNTIL_CLOSE
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            return _Part.CHUNK_SIZE
        length = head.headers.get("content-length")
        if length is None:
            return _Part.UNTIL_CLOSE
        if not (length.isascii() and length.isdigit()):
            raise ProtocolError(f"bad Content-Length: {length!r}")
        self._missing = int(length)
        return _Part.SIZED if self._missing else _Part.DONE

    def _next_piece(self) -> bytes | None:
        match self._part:
            case _Part.SIZED:
                return self._take_sized(_Part.DONE)
            case _Part.CHUNK:
                return self._take_sized(_Part.CHUNK_END)
            case _Part.CHUNK_SIZE:
                return self._begin_chunk()
            case _Part.CHUNK_END:
                if self._take_line() is None:
                    return None
                self._part = _Part.CHUNK_SIZE
                return b""
            case _Part.TRAILERS:
                line = self._take_line()
                if line == b"":
                    self._part = _Part.DONE
                return None if line is None else b""
            case _Part.UNTIL_CLOSE:
                taken = bytes(self._pending)
                self._pending.clear()
                return taken or None
            case _:
                return None

    def _take_sized(self, following: _Part) -> bytes | None:
        taken = bytes(self._pending[: self._missing])
        if not taken:
            return None
        del self._pending[: len(taken)]
        self._missing -= len(taken)
        if self._missing == 0:
            self._part = following
        return taken

    def _begin_chunk(self) -> bytes | None:
        line = self._take_line()
        if line is None:
            return None
        try:
            self._missing = int(line.split(b";")[0].strip() or b"x", 16)
        except ValueError:
            raise ProtocolError(f"bad chunk size: {line[:20]!r}") from None
        self._part = _Part.CHUNK if self._missing else _Part.TRAILERS
        return b""

    def _take_line(self) -> bytes | None:
        end = self._pending.find(b"\r\n")
        if end < 0:
            if len(self._pending) > LARGEST_CHUNK_LINE:
                raise ProtocolError("a chunk's head is too large")
            return None
        line = bytes(self._pending[:end])
        del self._pending[: end + 2]
        return line

    def _end_of_stream(self) -> None:
        if self._part is _Part.UNTIL_CLOSE:
            if not self._pending:
                self._part = _Part.DONE
        elif self._part is not _Part.DONE:
            raise ProtocolError("the connection ended in the middle of a response")


def parse_head(raw: bytes) -> ResponseHead:
    """Status line and fields; repeated fields are joined by commas.

    Raises: ProtocolError.
    """
    first, *lines = raw.decode("latin-1").split("\r\n")
    version, _, status_and_reason = first.partition(" ")
    status, _, reason = status_and_reason.partition(" ")
    if not version.startswith("HTTP/1.") or not (status.isdigit() and len(status) == 3):
        raise ProtocolError(f"not an HTTP response: {first[:60]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolError(f"bad header line: {line[:60]!r}")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return ResponseHead(status=int(status), reason=reason, headers=headers)
