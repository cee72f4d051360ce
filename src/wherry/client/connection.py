"""The blocking driver: one socket, one request at a time, reused while the engine allows it."""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from wherry.client import http1
from wherry.client.documents import Json, document, encode, parse, text
from wherry.client.endpoint import Endpoint
from wherry.client.errors import ApiError, ProtocolError, Unreachable

_READ_BYTES = 64 * 1024
_USER_AGENT = "wherry-client/0.1"

Query = Iterable[tuple[str, str]]
Headers = Mapping[str, str | Sequence[str]]


class Response:
    """A response whose body is read when it is asked for."""

    def __init__(self, connection: "Connection", parser: http1.ResponseParser) -> None:
        head = parser.head
        if head is None:
            raise ProtocolError("no response")
        self._connection = connection
        self._parser = parser
        self.status = head.status
        self.headers = head.headers

    @property
    def descriptor(self) -> int:
        """What to select on for more of the body; -1 when the connection is gone."""
        return self._connection.descriptor

    @property
    def has_buffered(self) -> bool:
        """Whether some of the body is here already, so that the socket may stay silent."""
        return self._parser.has_pending or self._parser.is_complete

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises: ProtocolError, OSError."""
        while True:
            piece = self._parser.body()
            if piece:
                yield piece
            elif self._parser.is_complete:
                self._connection.finish(self._parser)
                return
            else:
                self._parser.feed(self._connection.receive())

    def read(self) -> bytes:
        """The whole body. Raises: ProtocolError, OSError."""
        return b"".join(self.chunks())

    def json(self) -> Json:
        """The whole body, decoded. Raises: ProtocolError when it is no JSON."""
        raw = self.read()
        try:
            return parse(raw) if raw.strip() else None
        except ValueError as error:
            raise ProtocolError(f"the engine's answer is not JSON: {error}") from error


class Hijacked:
    """A connection that has become a raw two-way stream (attach, exec)."""

    def __init__(self, channel: socket.socket, first: bytes, *, multiplexed: bool | None) -> None:
        self.socket = channel
        self._first = first
        self.multiplexed = multiplexed
        """What the engine says of the stream's framing; None when it says nothing."""

    def receive(self) -> bytes:
        """The next bytes; none at the end. Raises: OSError."""
        if self._first:
            first, self._first = self._first, b""
            return first
        return self.socket.recv(_READ_BYTES)

    @property
    def has_buffered(self) -> bool:
        """Whether `receive` gives bytes without looking at the socket."""
        return bool(self._first)

    def send(self, data: bytes) -> None:
        """Send all of it. Raises: OSError."""
        self.socket.sendall(data)

    def close_write(self) -> None:
        """Say that no more input comes; output still does."""
        with suppress(OSError):  # The peer is gone; the reading side says so too.
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End both directions."""
        self.socket.close()


_REPEATABLE = ("GET", "HEAD")
"""Methods that change nothing, so that asking twice is as good as once (RFC 9110, 9.2.2)."""


class _NothingCame(ProtocolError):
    """The connection ended in place of an answer."""


class Connection:
    """One request at a time to one endpoint; the socket is kept for the next one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._socket: socket.socket | None = None
        self._is_idle = False

    @property
    def is_busy(self) -> bool:
        """Whether a response is still being read, or the socket was taken over."""
        return self._socket is not None and not self._is_idle

    @property
    def descriptor(self) -> int:
        """The socket's descriptor; -1 when there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def request(
        self,
        method: str,
        target: str,
        *,
        body: Json = None,
        upload: Iterable[bytes] | None = None,
        content_type: str = "application/json",
        headers: Headers | None = None,
    ) -> Response:
        """Send a request and read the head of its response.

        A JSON body goes with its length, an upload in chunks.

        Raises: Unreachable, ApiError, ProtocolError, OSError.
        """
        fields = {"Host": "localhost", "User-Agent": _USER_AGENT, **(headers or {})}
        payload = None if body is None else encode(body)
        if upload is not None:
            fields |= {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
        elif payload is not None:
            fields |= {"Content-Type": content_type, "Content-Length": str(len(payload))}
        elif method in ("POST", "PUT"):
            fields["Content-Length"] = "0"
        head = http1.request_bytes(method, target, fields)
        may_repeat = method in _REPEATABLE and self._is_idle
        parser = http1.ResponseParser(method=method)
        self._send(head + (payload or b""), upload)
        try:
            self._read_head(parser)
        except _NothingCame:
            # The engine closed the idle connection while the request was on its way.
            if not may_repeat:
                raise
            self.close()
            parser = http1.ResponseParser(method=method)
            self._send(head + (payload or b""), None)
            self._read_head(parser)
        response = Response(self, parser)
        if response.status >= 400:
            raise _api_error(response)
        return response

    def hijack(
        self,
        target: str,
        *,
        body: Json = None,
        protocol: str = "tcp",
        headers: Headers | None = None,
    ) -> Hijacked:
        """POST and take the connection over; 101 and 200 both mean yes.

        Raises: Unreachable, ApiError, ProtocolError, OSError.
        """
        upgrade = {"Connection": "Upgrade", "Upgrade": protocol, **(headers or {})}
        response = self.request("POST", target, body=body, headers=upgrade)
        taken, self._socket = self._socket, None
        if taken is None:
            raise ProtocolError("the connection is gone")
        kind = response.headers.get("content-type", "")
        multiplexed = {
            "application/vnd.docker.multiplexed-stream": True,
        }.get(kind)
        return Hijacked(taken, response._parser.rest(), multiplexed=multiplexed)

    def receive(self) -> bytes:
        """The next bytes of the current response. Raises: OSError."""
        if self._socket is None:
            raise ProtocolError("the connection is gone")
        return self._socket.recv(_READ_BYTES)

    def finish(self, parser: http1.ResponseParser) -> None:
        """A response has been read to its end: keep the socket or close it."""
        head = parser.head
        if head is not None and head.keeps_connection and head.status != 101:
            self._is_idle = True
        else:
            self.close()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._is_idle = False

    def _send(self, first: bytes, pieces: Iterable[bytes] | None) -> None:
        if self._socket is not None and self._is_idle and _is_stale(self._socket):
            self.close()
        if self._socket is None:
            self._socket = connect(self._endpoint)
        self._is_idle = False
        try:
            self._socket.sendall(first)
            if pieces is not None:
                for piece in pieces:
                    if piece:
                        self._socket.sendall(http1.chunk_bytes(piece))
                self._socket.sendall(http1.chunk_bytes(b""))
        except (BrokenPipeError, ConnectionResetError):
            pass  # The engine answered before it had read all; the answer says why.

    def _read_head(self, parser: http1.ResponseParser) -> None:
        try:
            first = self.receive()
            if not first:
                raise _NothingCame("the engine closed the connection")
            parser.feed(first)
            while parser.head is None:
                parser.feed(self.receive())
        except ConnectionResetError as error:
            raise _NothingCame("the engine closed the connection") from error


def connect(endpoint: Endpoint) -> socket.socket:
    """A socket to the engine, in plain text as far as the caller is concerned.

    Raises: Unreachable, ProtocolError.
    """
    try:
        if endpoint.is_unix:
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                channel.connect(endpoint.socket_path)
            except OSError:
                channel.close()
                raise
            return channel
        if endpoint.ssh_arguments:
            from wherry.client.channels import open_ssh

            return open_ssh(endpoint)
        channel = socket.create_connection((endpoint.host, endpoint.port), timeout=30)
        channel.settimeout(None)
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.tls is not None:
            from wherry.client.channels import open_tls

            try:
                channel = open_tls(channel, endpoint.host, endpoint.tls)
            except (OSError, ProtocolError):
                channel.close()
                raise
    except OSError as error:
        raise Unreachable(endpoint.address, error) from error
    return channel


def _is_stale(channel: socket.socket) -> bool:
    """Whether the engine closed an idle connection, or sent what nobody asked for."""
    try:
        channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _api_error(response: Response) -> ApiError:
    raw = response.read()
    try:
        message = text(document(parse(raw)), "message")
    except ValueError:
        message = ""
    return ApiError(response.status, message or raw.decode(errors="replace").strip())
