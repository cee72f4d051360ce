"""Attached clients: what they still have to be sent, and when one is too slow.

Theory of operation. A client that doesn't read must not hold up the container for long, and a
client that reads slowly must not lose anything: `run IMAGE cat big | xz` is one. So a client has
a queue of 1 MiB. When it is full the session stops reading its process, which is what a pipe
does too, for as long as the client takes at least a little in each half second. A client that
doesn't is cut: after what was begun it gets one sentence and the end.

The stream is a connected SOCK_STREAM pair: one end came to us by descriptor, the daemon has the
other. Towards the client the bytes are framed (`kit.streams`) unless there is a terminal;
from the client they are stdin.
"""

import os
from collections import deque
from collections.abc import Callable

from wherry.kit.event_loop import HANGUP, READ, WRITE, EventLoop, Timer
from wherry.kit.streams import SYSTEM_ERROR, frame

QUEUE_LIMIT = 1 << 20
_LOW_WATER = QUEUE_LIMIT // 2
_PATIENCE_S = 0.5
_PROGRESS_BYTES = 16 * 1024
_READ_SIZE = 64 * 1024
_CUT_TEXT = b"output lost: this client did not read for too long\n"


class Client:
    """One attached stream."""

    def __init__(
        self,
        loop: EventLoop,
        stream: int,
        *,
        outputs: frozenset[int],
        has_stdin: bool,
        is_framed: bool,
        is_patient: bool,
        on_input: "Callable[[Client, bytes], None]",
        on_room: Callable[[], None],
        on_gone: "Callable[[Client], None]",
    ) -> None:
        """Takes the descriptor over.

        A patient client is never cut: nothing but its own process waits for it. `on_input` gets
        empty bytes at the end of stdin; `on_room` says that a full queue has drained.
        """
        os.set_blocking(stream, False)
        self.outputs = outputs
        self.has_stdin = has_stdin
        self.is_framed = is_framed
        self._loop = loop
        self._stream = stream
        self._is_patient = is_patient
        self._on_input = on_input
        self._on_room = on_room
        self._on_gone = on_gone
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._is_mid_chunk = False
        self._sent_since_look = 0
        self._look: Timer | None = None
        self._is_ending = False
        self._reads = True
        self._input_is_paused = False
        self._is_watched = True
        loop.watch(stream, READ, self._on_ready)

    @property
    def is_full(self) -> bool:
        """Whether its process should wait for it."""
        return self._queued > QUEUE_LIMIT

    @property
    def is_open(self) -> bool:
        """Whether it is still there."""
        return self._stream >= 0

    def send(self, stream: int, data: bytes) -> None:
        """Pass output on, now or when the client has room."""
        if stream not in self.outputs or self._is_ending or not self.is_open:
            return
        self._enqueue(frame(stream, data) if self.is_framed else data)
        if self.is_full and not self._is_patient and self._look is None:
            self._sent_since_look = 0
            self._look = self._loop.call_later(_PATIENCE_S, self._look_at_progress)

    def end(self) -> None:
        """There is no more output: close once everything is sent."""
        self._is_ending = True
        if not self._queue:
            self._close()

    def pause_input(self, *, is_paused: bool) -> None:
        """Leave stdin in the socket while the process doesn't read it."""
        self._input_is_paused = is_paused
        self._watch()

    # -- sending -----------------------------------------------------------------------------

    def _enqueue(self, chunk: bytes) -> None:
        self._queue.append(chunk)
        self._queued += len(chunk)
        if len(self._queue) == 1:
            self._flush()
            if self._queue:
                self._watch()

    def _flush(self) -> None:
        while self._queue and self.is_open:
            chunk = self._queue[0]
            try:
                sent = os.write(self._stream, chunk)
            except BlockingIOError:
                return
            except OSError:
                self._stop_sending()
                return
            self._queued -= sent
            self._sent_since_look += sent
            if sent < len(chunk):
                self._queue[0] = chunk[sent:]
                self._is_mid_chunk = True
                return
            self._queue.popleft()
            self._is_mid_chunk = False

    def _stop_sending(self) -> None:
        """The other side reads no more; what it sent before may still be on its way to stdin."""
        self.outputs = frozenset()
        self._queue.clear()
        self._queued = 0
        if self.has_stdin and self._reads and not self._is_ending:
            self._on_room()
        else:
            self._close()

    def _look_at_progress(self) -> None:
        self._look = None
        if not self.is_full or not self.is_open:
            return
        if self._sent_since_look < _PROGRESS_BYTES:
            self._cut()
            return
        self._sent_since_look = 0
        self._look = self._loop.call_later(_PATIENCE_S, self._look_at_progress)

    def _cut(self) -> None:
        """Drop what waits, but for the rest of the chunk that is half sent."""
        rest = [self._queue[0]] if self._is_mid_chunk else []
        if self.is_framed:
            rest.append(frame(SYSTEM_ERROR, _CUT_TEXT))
        self._queue = deque(rest)
        self._queued = sum(len(chunk) for chunk in rest)
        self.end()
        self._on_room()

    # -- events ------------------------------------------------------------------------------

    def _on_ready(self, events: int) -> None:
        if events & WRITE and self._queue:
            was_full = self._queued > _LOW_WATER
            self._flush()
            if not self._queue:
                if self._is_ending:
                    self._close()
                    return
                self._watch()
            if was_full and self._queued <= _LOW_WATER:
                self._on_room()
        if not self.is_open:
            return
        is_waiting = self.has_stdin and self._input_is_paused
        if events & (READ | HANGUP) and self._reads and not is_waiting:
            # Also for HANGUP alone: it may be news from before the input was resumed, and what
            # the other side wrote before it went is still to be read.
            self._read()
        elif events & HANGUP and self._reads:
            # It would be said again and again; `pause_input` watches again.
            self._loop.forget(self._stream)
            self._is_watched = False
        elif events & HANGUP:
            self._close()

    def _read(self) -> None:
        try:
            data = os.read(self._stream, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self._close()
            return
        if not data:
            self._reads = False
            self._watch()
        if self.has_stdin:
            self._on_input(self, data)

    def _watch(self) -> None:
        if not self.is_open:
            return
        reads = self._reads and not (self.has_stdin and self._input_is_paused)
        events = (READ if reads else 0) | (WRITE if self._queue else 0)
        if self._is_watched or reads:
            self._loop.watch(self._stream, events, self._on_ready)
            self._is_watched = True

    def _close(self) -> None:
        if not self.is_open:
            return
        self._loop.forget(self._stream)
        os.close(self._stream)
        self._stream = -1
        self._queue.clear()
        self._queued = 0
        if self._reads and self.has_stdin:
            self._reads = False
            self._on_input(self, b"")
        self._on_room()
        self._on_gone(self)
