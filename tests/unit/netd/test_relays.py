"""What netd carries from [::1]: everything, in both directions, with both ends."""

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from wherry.kit.event_loop import EventLoop
from wherry.netd.relays import TcpListener, UdpListener

TIMEOUT_S = 10


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """A loop that runs in a thread while the test is the client and the container."""
    made = EventLoop()
    is_over = threading.Event()

    def turn() -> None:
        while not is_over.is_set():
            made.wait(0.02)

    thread = threading.Thread(target=turn)
    thread.start()
    yield made
    is_over.set()
    thread.join()


@pytest.fixture
def container() -> Iterator[socket.socket]:
    """A server in the container's place."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        yield server


@pytest.fixture
def relay(loop: EventLoop, container: socket.socket) -> tuple[str, int]:
    """Where the relay to that server listens."""
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    address: tuple[str, int] = listener.getsockname()[:2]
    TcpListener(loop, listener, container.getsockname())
    return address


def in_thread(call: Callable[[], object]) -> threading.Thread:
    """Start a call beside the test."""
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def read_all(stream: socket.socket) -> bytes:
    """What comes until the end."""
    stream.settimeout(TIMEOUT_S)
    return b"".join(iter(lambda: stream.recv(1 << 16), b""))


def test_bytes_come_whole_in_both_directions(
    relay: tuple[str, int], container: socket.socket
) -> None:
    """Much more than any buffer, both ways at once, each end closing by itself."""
    sent = os.urandom(8 << 20)
    with socket.create_connection(relay, timeout=TIMEOUT_S) as client:
        inner, _address = container.accept()
        with inner:

            def send(stream: socket.socket) -> None:
                stream.sendall(sent)
                stream.shutdown(socket.SHUT_WR)

            threads = [in_thread(lambda: send(client)), in_thread(lambda: send(inner))]
            received: list[bytes] = []
            threads.append(in_thread(lambda: received.append(read_all(inner))))
            back = read_all(client)
            for thread in threads:
                thread.join(TIMEOUT_S)
    assert hashlib.sha256(back).digest() == hashlib.sha256(sent).digest()
    assert [len(each) for each in received] == [len(sent)]


def test_half_close_leaves_the_other_direction_open(
    relay: tuple[str, int], container: socket.socket
) -> None:
    """A client that has said all still hears the answer."""
    with socket.create_connection(relay, timeout=TIMEOUT_S) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        inner, _address = container.accept()
        with inner:
            assert read_all(inner) == b"question"
            inner.sendall(b"answer")
        assert read_all(client) == b"answer"


def test_a_closed_container_port_resets_the_client(
    relay: tuple[str, int], container: socket.socket
) -> None:
    """The client learns at once that nobody is there."""
    container.close()
    # The reset may come before the client's own connect(2) has returned.
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(relay, timeout=TIMEOUT_S) as client,
    ):
        client.recv(1)


def test_a_reader_that_stalls_holds_up_nobody_else(
    relay: tuple[str, int], container: socket.socket
) -> None:
    """One connection full to the brim, and another one still answers."""
    with socket.create_connection(relay, timeout=TIMEOUT_S) as stalled:
        inner, _address = container.accept()
        inner.setblocking(False)
        with inner, pytest.raises(BlockingIOError):
            while True:
                inner.send(bytes(1 << 16))
        with socket.create_connection(relay, timeout=TIMEOUT_S) as client:
            second, _address = container.accept()
            with second:
                second.sendall(b"hello")
            assert read_all(client) == b"hello"
        assert stalled.recv(1) == b"\0"


def test_no_descriptor_stays_open() -> None:
    """After a connection has ended on both sides, its pipes and sockets are closed."""
    loop = EventLoop()
    with socket.create_server(("127.0.0.1", 0)) as container:
        before = len(os.listdir("/proc/self/fd"))
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        address = listener.getsockname()[:2]
        relays = TcpListener(loop, listener, container.getsockname())
        with socket.create_connection(address, timeout=TIMEOUT_S) as client:
            client.sendall(b"x")
            loop.wait(TIMEOUT_S)
            loop.wait(TIMEOUT_S)
            container.settimeout(TIMEOUT_S)
            inner, _address = container.accept()
            inner.close()
        for _ in range(20):
            loop.wait(0.01)
        relays.close()
        assert len(os.listdir("/proc/self/fd")) == before


def test_datagrams_and_their_answers(loop: EventLoop) -> None:
    """Each client hears its own answers."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as container,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two,
    ):
        container.bind(("127.0.0.1", 0))
        bound = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        bound.bind(("::1", 0))
        address = bound.getsockname()[:2]
        UdpListener(loop, bound, container.getsockname())
        for each in (container, one, two):
            each.settimeout(TIMEOUT_S)
        for client, word in ((one, b"one"), (two, b"two"), (one, b"three")):
            client.sendto(word, address)
            datagram, sender = container.recvfrom(100)
            container.sendto(datagram.upper(), sender)
            assert client.recv(100) == word.upper()
