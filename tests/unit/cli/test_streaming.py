"""Bytes are carried both ways, and neither side can lock the other up."""

import os
import signal
import socket
import termios
import threading
from collections.abc import Iterator

import pytest

from wherry.cli import terminal
from wherry.cli.containers.detach_keys import DEFAULT, DetachFilter
from wherry.cli.containers.streaming import Attachment, Ending, OutputWriter
from wherry.cli.signal_channel import SignalChannel
from wherry.client.connection import Hijacked
from wherry.kit.streams import STDERR, STDOUT, frame


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a stream, and the engine's."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def read_all(descriptor: int) -> bytes:
    """What is in a pipe whose writing end is closed."""
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_streams_are_told_apart(ends: tuple[socket.socket, socket.socket]) -> None:
    """Frames of stdout and stderr go to different descriptors, the first bytes included."""
    ours, theirs = ends
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    theirs.sendall(frame(STDERR, b"bad") + frame(STDOUT, b"good"))
    theirs.close()
    writer = OutputWriter(is_framed=True, output=out_write, errors=err_write)
    first = Hijacked(ours, frame(STDOUT, b"very "), multiplexed=None)
    with SignalChannel([]) as signals:
        ending = Attachment(first, writer, signals=signals, on_signal=print).carry()
    os.close(out_write)
    os.close(err_write)
    assert ending is Ending.CLOSED
    assert (read_all(out_read), read_all(err_read)) == (b"very good", b"bad")


def test_much_in_both_directions(ends: tuple[socket.socket, socket.socket]) -> None:
    """An echo of megabytes ends: output is read while input waits to be sent."""
    ours, theirs = ends
    total = 4 << 20
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    result: list[bytes] = []

    def feed() -> None:
        with os.fdopen(in_write, "wb") as file:
            file.write(b"x" * total)

    def echo() -> None:
        while data := theirs.recv(65536):
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)

    threads = [
        threading.Thread(target=feed),
        threading.Thread(target=echo),
        threading.Thread(target=lambda: result.append(read_all(out_read))),
    ]
    for thread in threads:
        thread.start()
    with SignalChannel([]) as signals:
        Attachment(
            Hijacked(ours, b"", multiplexed=None),
            OutputWriter(is_framed=False, output=out_write, errors=None),
            input_descriptor=in_read,
            signals=signals,
            on_signal=print,
        ).carry()
    os.close(out_write)
    for thread in threads:
        thread.join(20)
    os.close(in_read)
    assert result == [b"x" * total]


def test_detaching_ends_it(ends: tuple[socket.socket, socket.socket]) -> None:
    """What was typed before the keys is sent; the keys are not."""
    ours, theirs = ends
    in_read, in_write = os.pipe()
    os.write(in_write, b"ls\r" + DEFAULT + b"never")
    with SignalChannel([]) as signals:
        ending = Attachment(
            Hijacked(ours, b"", multiplexed=None),
            OutputWriter(is_framed=False, output=None, errors=None),
            input_descriptor=in_read,
            detach_filter=DetachFilter(DEFAULT),
            signals=signals,
            on_signal=print,
        ).carry()
    assert ending is Ending.DETACHED
    ours.close()
    assert theirs.recv(100) == b"ls\r"
    os.close(in_read)
    os.close(in_write)


def test_signals_are_handled_between_reads(ends: tuple[socket.socket, socket.socket]) -> None:
    """A signal wakes the loop, and the old handler is back afterwards."""
    ours, theirs = ends
    before = signal.getsignal(signal.SIGUSR1)
    arrived: list[int] = []

    def on_signal(number: int) -> None:
        arrived.append(number)
        theirs.close()

    with SignalChannel([signal.SIGUSR1]) as signals:
        os.kill(os.getpid(), signal.SIGUSR1)
        Attachment(
            Hijacked(ours, b"", multiplexed=None),
            OutputWriter(is_framed=False, output=None, errors=None),
            signals=signals,
            on_signal=on_signal,
        ).carry()
    assert arrived == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is before


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_terminal_comes_back(failure: type[BaseException]) -> None:
    """However the block ends, the terminal's mode is what it was."""
    leader, follower = os.openpty()
    before = termios.tcgetattr(follower)
    with pytest.raises(failure), terminal.raw_mode(follower):
        raw = termios.tcgetattr(follower)
        assert not raw[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        raise failure
    assert termios.tcgetattr(follower) == before
    os.close(leader)
    os.close(follower)


def test_a_file_is_no_terminal(tmp_path: os.PathLike[str]) -> None:
    """Raw mode of something else does nothing, and it has no size."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with terminal.raw_mode(descriptor):
        assert terminal.size(descriptor) is None
    os.close(descriptor)
