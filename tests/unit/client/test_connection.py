"""The drivers against a small server on a Unix socket."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wherry.client.connection import Connection
from wherry.client.documents import Document, stream
from wherry.client.endpoint import Endpoint, parse_endpoint
from wherry.client.engine_client import Client
from wherry.client.errors import ApiError, InvalidEndpoint, ProtocolError, Unreachable
from wherry.client.transport import filter_query

Answer = Callable[[socket.socket, bytes], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nApi-Version: 1.44\r\n\r\n{}"


class FakeEngine:
    """Accepts connections and answers each request head by a function."""

    def __init__(self, path: Path) -> None:
        self.endpoint = Endpoint(address=f"unix://{path}", socket_path=str(path))
        self.heads: list[bytes] = []
        self.behind_head = b""
        """What came in one read with the last head."""
        self.connections = 0
        self.answer: Answer = lambda channel, _head: channel.sendall(OK)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                channel, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(channel,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, channel: socket.socket) -> None:
        with channel:
            pending = b""
            while True:
                while b"\r\n\r\n" not in pending:
                    try:
                        received = channel.recv(4096)
                    except OSError:
                        return
                    if not received:
                        return
                    pending += received
                head, _, pending = pending.partition(b"\r\n\r\n")
                self.heads.append(head)
                self.behind_head, pending = pending, b""
                self.answer(channel, head)

    def close(self) -> None:
        """Stop accepting and join the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    """A fake engine; its clients close their connections before it ends."""
    fake = FakeEngine(tmp_path / "e.sock")
    yield fake
    fake.close()


def test_version_is_the_lower_one(engine: FakeEngine) -> None:
    """The engine's 1.44 is below ours, and the path says so; one connection serves both."""
    client = Client(engine.endpoint)
    assert client.version == "1.44"
    client.system.info()
    client.close()
    assert engine.heads[1].startswith(b"GET /v1.44/info HTTP/1.1\r\n")
    assert engine.connections == 1


def test_versions_compare_as_numbers(engine: FakeEngine) -> None:
    """1.9 is older than 1.24."""
    client = Client(engine.endpoint, version="1.9")
    assert not client.speaks("1.24")


def test_an_error_carries_status_and_message(engine: FakeEngine) -> None:
    """The message comes out of the JSON, and the connection can be used again."""
    body = b'{"message":"No such container: x"}'
    engine.answer = lambda channel, _head: channel.sendall(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    client = Client(engine.endpoint, version="1.44")
    for _ in range(2):
        with pytest.raises(ApiError, match="No such container: x") as caught:
            client.containers.inspect("x")
        assert caught.value.status == 404
    client.close()
    assert engine.connections == 1


def test_a_second_request_opens_a_second_connection(engine: FakeEngine) -> None:
    """While a stream is being read, other requests go on."""

    def answer(channel: socket.socket, head: bytes) -> None:
        is_stream = b"/wait" in head
        channel.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if is_stream else OK
        )

    engine.answer = answer
    client = Client(engine.endpoint, version="1.44")
    waiting = client.containers.begin_wait("x")
    assert client.containers.inspect("x") == {}
    assert not waiting.has_buffered
    client.close()
    assert engine.connections == 2


def test_an_idle_connection_that_was_closed_is_replaced(engine: FakeEngine) -> None:
    """An engine that restarted between two requests costs nothing but a new socket."""

    def answer(channel: socket.socket, _head: bytes) -> None:
        channel.sendall(OK)
        channel.shutdown(socket.SHUT_RDWR)

    engine.answer = answer
    connection = Connection(engine.endpoint)
    for _ in range(2):
        connection.request("GET", "/x").read()
    connection.close()
    assert engine.connections == 2


def test_uploads_go_in_chunks(engine: FakeEngine) -> None:
    """A body of unknown length is sent as it comes, and ended."""
    received: list[bytes] = []

    def answer(channel: socket.socket, _head: bytes) -> None:
        data = engine.behind_head
        while not data.endswith(b"0\r\n\r\n"):
            data += channel.recv(100)
        received.append(data)
        channel.sendall(OK)

    engine.answer = answer
    client = Client(engine.endpoint, version="1.44")
    assert list(client.images.load(iter([b"abc", b"", b"d"]), is_quiet=True)) == [{}]
    client.close()
    assert received == [b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"]
    assert b"Transfer-Encoding: chunked" in engine.heads[0]


def test_a_hijacked_connection_is_a_two_way_stream(engine: FakeEngine) -> None:
    """Bytes behind the head come first; after a half close the other side still speaks."""

    def answer(channel: socket.socket, _head: bytes) -> None:
        channel.sendall(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nfirst")
        heard = engine.behind_head
        while piece := channel.recv(100):
            heard += piece
        channel.sendall(b"heard " + heard)
        channel.shutdown(socket.SHUT_RDWR)

    engine.answer = answer
    client = Client(engine.endpoint, version="1.44")
    hijacked = client.containers.attach("x", stdin=True, stdout=True)
    assert hijacked.receive() == b"first"
    hijacked.send(b"input")
    hijacked.close_write()
    assert hijacked.receive() == b"heard input"
    assert hijacked.receive() == b""
    hijacked.close()
    assert b"Upgrade: tcp" in engine.heads[0]


def test_nobody_there(tmp_path: Path) -> None:
    """A socket that isn't there is Unreachable, with the address."""
    client = Client(parse_endpoint(f"unix://{tmp_path}/none.sock"))
    with pytest.raises(Unreachable) as caught:
        client.system.info()
    assert caught.value.address == f"unix://{tmp_path}/none.sock"
    assert not caught.value.is_forbidden


def test_an_answer_that_is_no_json(engine: FakeEngine) -> None:
    """A proxy's page is a protocol error and no crash."""
    engine.answer = lambda channel, _head: channel.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
    )
    client = Client(engine.endpoint, version="1.44")
    with pytest.raises(ProtocolError, match="not JSON"):
        client.system.info()
    client.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///a/b.sock", "unix:///a/b.sock"),
        ("tcp://10.0.0.1:99", "tcp://10.0.0.1:99"),
        ("10.0.0.1", "tcp://10.0.0.1:2375"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
        (" host:5 ", "tcp://host:5"),
    ],
)
def test_endpoints(text: str, address: str) -> None:
    """The forms of -H."""
    assert parse_endpoint(text).address == address


@pytest.mark.parametrize(
    "text", ["foo://x", "ssh://", "npipe://x", "tcp://a:b:c", "tcp://h:99999"]
)
def test_bad_endpoints(text: str) -> None:
    """What isn't understood is said, not tried."""
    with pytest.raises(InvalidEndpoint):
        parse_endpoint(text)


def test_streams_of_documents_may_be_cut_anywhere() -> None:
    """Each JSON value comes out once, as soon as it is whole."""
    raw = b'{"a":"}"}\n{"b":[1,2]}{"c":"\xc3\xbc"}\n'
    expected: list[Document] = [{"a": "}"}, {"b": [1, 2]}, {"c": "ü"}]
    for step in (1, 2, 5, 100):
        pieces = [raw[at : at + step] for at in range(0, len(raw), step)]
        assert list(stream(pieces)) == expected


def test_filters_have_the_form_since_1_22() -> None:
    """A map of maps, which every version since takes."""
    assert filter_query({"name": ["a", "b"]}) == [("filters", '{"name":{"a":true,"b":true}}')]
    assert filter_query({}) == []
