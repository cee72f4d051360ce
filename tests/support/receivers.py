"""Receivers of logs for tests: they take what comes, in threads, and keep it."""

import contextlib
import http.server
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from support.machine import PrivateMachine
from support.waiting import wait_until


class Datagrams:
    """Takes datagrams at a socket that is bound already."""

    def __init__(self, bound: socket.socket) -> None:
        self.packets: list[bytes] = []
        self._socket = bound
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while packet := self._socket.recv(1 << 20):
                self.packets.append(packet)

    def wait_for(self, text: bytes) -> bytes:
        """The first packet that has a text."""
        wait_until(f"a packet with {text!r}", lambda: any(text in each for each in self.packets))
        return next(each for each in self.packets if text in each)

    def close(self) -> None:
        """Take no more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Streams:
    """Takes connections at a listening socket and keeps what each one says."""

    def __init__(
        self,
        listening: socket.socket,
        *,
        context: ssl.SSLContext | None = None,
        answer: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`answer` gets all that a connection has said so far, and gives what to say to that."""
        self.received = b""
        self._listening = listening
        self._context = context
        self._answer = answer
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._listening.accept()
                self._connections.append(connection)
                threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            said = b""
            while part := connection.recv(1 << 16):
                said += part
                self.received += part
                if self._answer is not None:
                    connection.sendall(self._answer(said))

    def wait_for(self, text: bytes, *, within_s: float = 20) -> bytes:
        """Everything so far, once it has a text."""
        wait_until(f"{text!r} was received", lambda: text in self.received, within_s=within_s)
        return self.received

    def close(self) -> None:
        """Close everything."""
        for each in (self._listening, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextlib.contextmanager
def udp(machine: PrivateMachine, port: int) -> Iterator[Datagrams]:
    """A UDP receiver on the machine's loopback."""

    def bind() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", port))
        return made

    taker = Datagrams(machine.in_network(bind))
    try:
        yield taker
    finally:
        taker.close()


@contextlib.contextmanager
def tcp(
    machine: PrivateMachine,
    port: int,
    *,
    context: ssl.SSLContext | None = None,
    answer: Callable[[bytes], bytes] | None = None,
) -> Iterator[Streams]:
    """A TCP receiver on the machine's loopback."""
    taker = Streams(machine.listen("127.0.0.1", port), context=context, answer=answer)
    try:
        yield taker
    finally:
        taker.close()


@contextlib.contextmanager
def unix(path: Path, kind: socket.SocketKind) -> Iterator[Datagrams | Streams]:
    """A receiver at a Unix socket."""
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(str(path))
    taker: Datagrams | Streams
    if kind == socket.SOCK_DGRAM:
        taker = Datagrams(made)
    else:
        made.listen(4)
        taker = Streams(made)
    try:
        yield taker
    finally:
        taker.close()
        path.unlink()


# -- fluentd ---------------------------------------------------------------------------------


def forward_messages(data: bytes) -> list[Any]:
    """The messages of the forward protocol that are whole."""
    found = []
    while data:
        size = _whole_message(data)
        if not size:
            break
        found.append(msgspec.msgpack.decode(data[:size], ext_hook=lambda _code, raw: bytes(raw)))
        data = data[size:]
    return found


def _whole_message(data: bytes) -> int:
    """How long the first message is; a length is right when exactly it can be decoded."""
    try:
        msgspec.msgpack.decode(data)
        return len(data)
    except msgspec.DecodeError as error:
        text = str(error)
    if "trailing characters" in text:
        return int(text.rpartition("byte ")[2].rstrip(")"))
    return 0


def acknowledge(said: bytes) -> bytes:
    """fluentd's answer to the last message."""
    messages = forward_messages(said)
    if not messages or len(messages[-1]) < 3:
        return b""
    return msgspec.msgpack.encode({"ack": messages[-1][2]["chunk"]})


# -- GELF ------------------------------------------------------------------------------------


def gelf_documents(packets: list[bytes]) -> list[dict[str, Any]]:
    """The documents of datagrams: chunks put together, and unpacked."""
    whole: list[bytes] = []
    pieces: dict[bytes, dict[int, bytes]] = {}
    for packet in packets:
        if packet[:2] != b"\x1e\x0f":
            whole.append(packet)
            continue
        chunks = pieces.setdefault(packet[2:10], {})
        chunks[packet[10]] = packet[12:]
        if len(chunks) == packet[11]:
            whole.append(b"".join(chunks[number] for number in range(packet[11])))
    return [msgspec.json.decode(_unpacked(each)) for each in whole]


def _unpacked(document: bytes) -> bytes:
    if document[:1] == b"{":
        return document
    return zlib.decompress(document, zlib.MAX_WBITS | 32)


# -- splunk ----------------------------------------------------------------------------------


class Collector:
    """An HTTP event collector."""

    def __init__(self, listening: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self) -> None:
                self._take()

            def do_POST(self) -> None:
                self._take()

            def _take(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.requests.append((self.command, self.path, headers, content))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = (
            listening if context is None else context.wrap_socket(listening, server_side=True)
        )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def events(self) -> list[Any]:
        """Every event that was posted."""
        found: list[Any] = []
        decoder = msgspec.json.Decoder()
        for method, _path, headers, content in list(self.requests):
            if method != "POST":
                continue
            if headers.get("content-encoding") == "gzip":
                content = zlib.decompress(content, zlib.MAX_WBITS | 16)
            for line in content.replace(b"}{", b"}\n{").splitlines():
                found.append(decoder.decode(line))
        return found

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
