"""Carries bytes between this process's streams and a container's.

One loop selects on standard input, the engine's stream and the signals. What is to be sent waits
in a small buffer while the engine doesn't take it, and no more is read meanwhile: a container
that neither reads nor is read must not lock this process up.
"""

import os
import select
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from wherry.cli.containers.detach_keys import DetachFilter
from wherry.cli.signal_channel import SignalChannel
from wherry.client.connection import Hijacked, Response
from wherry.kit.streams import STDERR, SYSTEM_ERROR, Unframer

_READ_BYTES = 32 * 1024
_POLL_READ = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Ending(Enum):
    """Why a stream ended."""

    CLOSED = auto()
    """The container's side ended."""
    DETACHED = auto()
    """The user typed the detach keys."""


OnSignal = Callable[[int], None]


class OutputWriter:
    """Writes what comes from a container to this process's streams, unframed where it must be."""

    def __init__(self, *, is_framed: bool, output: int | None, errors: int | None) -> None:
        self._unframer = Unframer() if is_framed else None
        self._output = output
        self._errors = errors

    def write(self, data: bytes) -> None:
        """Write bytes as they came from the engine. Raises: OSError."""
        if self._unframer is None:
            _write_all(self._output, data)
            return
        for stream, payload in self._unframer.feed(data):
            goes_to_errors = stream in (STDERR, SYSTEM_ERROR)
            _write_all(self._errors if goes_to_errors else self._output, payload)


class Attachment:
    """A two-way stream, from the moment it is open until one side ends it."""

    def __init__(
        self,
        stream: Hijacked,
        writer: OutputWriter,
        *,
        input_descriptor: int | None = None,
        detach_filter: DetachFilter | None = None,
        signals: SignalChannel,
        on_signal: OnSignal,
    ) -> None:
        self._stream = stream
        self._writer = writer
        self._input = input_descriptor
        self._filter = detach_filter
        self._signals = signals
        self._on_signal = on_signal
        self._unsent = b""
        self._input_ended = False

    def carry(self) -> Ending:
        """Carry bytes until the container's side ends or the user detaches. Raises: OSError."""
        self._stream.socket.setblocking(False)
        if self._stream.has_buffered:
            self._writer.write(self._stream.receive())
        while True:
            ready = self._wait()
            if self._signals.fileno() in ready:
                for number in self._signals.arrived():
                    self._on_signal(number)
            if self._input is not None and self._input in ready and self._read_input():
                return Ending.DETACHED
            if self._unsent:
                self._send()
            if self._stream.socket.fileno() in ready and self._receive():
                return Ending.CLOSED

    def _wait(self) -> set[int]:
        poll = select.poll()
        poll.register(self._signals.fileno(), select.POLLIN)
        wanted = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        poll.register(self._stream.socket.fileno(), wanted)
        if self._input is not None and not self._unsent:
            poll.register(self._input, select.POLLIN)
        return {descriptor for descriptor, _events in poll.poll()}

    def _receive(self) -> bool:
        """Pass on what came; True at the end."""
        try:
            data = self._stream.receive()
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        if data:
            self._writer.write(data)
        return not data

    def _read_input(self) -> bool:
        """Take what was typed; True when the user detached."""
        try:
            typed = os.read(self._input if self._input is not None else -1, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            typed = b""  # A terminal that went away reads as EIO.
        if not typed:
            self._input = None
            self._input_ended = True
            self._send()
            return False
        if self._filter is None:
            self._unsent += typed
            return False
        kept, is_detached = self._filter.feed(typed)
        self._unsent += kept
        if is_detached:
            self._send()
        return is_detached

    def _send(self) -> None:
        try:
            while self._unsent:
                sent = self._stream.socket.send(self._unsent)
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            return
        except OSError:
            self._unsent, self._input = b"", None  # The container no longer takes input.
        if self._input_ended:
            self._stream.close_write()


def read_while_signalled(
    response: Response, descriptor: int, signals: SignalChannel, on_signal: OnSignal
) -> bytes:
    """Read a response to its end, handling the signals that arrive meanwhile. Raises: OSError."""
    poll = select.poll()
    poll.register(signals.fileno(), select.POLLIN)
    poll.register(descriptor, _POLL_READ)
    while not response.has_buffered:
        ready = {found for found, _events in poll.poll()}
        if signals.fileno() in ready:
            for number in signals.arrived():
                on_signal(number)
        if descriptor in ready:
            break
    return response.read()


def _write_all(descriptor: int | None, data: bytes) -> None:
    if descriptor is None:
        return
    view = memoryview(data)
    while view:
        with suppress(BlockingIOError):
            view = view[os.write(descriptor, view) :]
            continue
        select.select([], [descriptor], [])
