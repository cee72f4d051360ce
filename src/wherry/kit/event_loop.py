"""Call me back when this descriptor is ready, or then: the whole concurrency of small processes.

asyncio would cost a shim 4 MiB and its first 30 ms. This stands on epoll(7) itself, as
`selectors` would take a tenth of what a look-up of a name costs netd.
"""

import select
import time
from collections.abc import Callable
from typing import Protocol

READ, WRITE, HANGUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP
PRIORITY, EDGE = select.EPOLLPRI, select.EPOLLET

Callback = Callable[[int], None]
"""Takes the events that came, as epoll(7) names them: an error and a hang-up come unasked."""

_EVENTS_AT_ONCE = 32


class HasFileno(Protocol):
    """A socket, or anything with a descriptor."""

    def fileno(self) -> int:
        """The descriptor."""
        ...


class Timer:
    """Something to do later, unless it is cancelled."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Don't do it. Doing so twice, or afterwards, is no error."""
        self.callback = None


class EventLoop:
    """Descriptors and what to do when they are ready; timers. One thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[int, Callback]] = {}
        self._timers: list[Timer] = []
        """The next one first."""
        self._is_running = False

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after a delay."""
        timer = Timer(time.monotonic() + delay_s, callback)
        at = len(self._timers)  # Who comes later is mostly due later.
        while at and self._timers[at - 1].when > timer.when:
            at -= 1
        self._timers.insert(at, timer)
        return timer

    def watch(self, source: int | HasFileno, events: int, callback: Callback) -> None:
        """Watch a descriptor, or change what it is watched for.

        Raises: OSError (EPERM: a plain file).
        """
        descriptor = _descriptor(source)
        watched = self._watched.get(descriptor)
        if watched is None:
            self._epoll.register(descriptor, events)
        elif watched[0] != events:
            self._epoll.modify(descriptor, events)
        self._watched[descriptor] = (events, callback)

    def forget(self, source: int | HasFileno) -> None:
        """Stop watching; before the descriptor is closed. Doing so twice is no error."""
        descriptor = _descriptor(source)
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def run(self) -> None:
        """Call back until `stop`."""
        self._is_running = True
        while self._is_running:
            self.wait()

    def stop(self) -> None:
        """Leave `run` after the callbacks of this round."""
        self._is_running = False

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for something to be ready or due, at most so long, and call back."""
        if self._timers:
            timeout_s = self._until_due(timeout_s)
        came = self._epoll.poll(timeout_s, _EVENTS_AT_ONCE)
        for watched, (descriptor, events) in [(self._watched.get(each[0]), each) for each in came]:
            # A callback before this one may have forgotten it, and its number may be another's
            # by now: what came is not about that one.
            if watched is not None and self._watched.get(descriptor) is watched:
                _wanted, callback = watched
                callback(events)
        if self._timers:
            self._call_due()

    def _until_due(self, timeout_s: float | None) -> float | None:
        """So long, or until the next timer; None: for ever."""
        while self._timers and self._timers[0].callback is None:
            del self._timers[0]
        if not self._timers:
            return timeout_s
        until_due_s = max(0.0, self._timers[0].when - time.monotonic())
        return until_due_s if timeout_s is None else min(timeout_s, until_due_s)

    def _call_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            timer = self._timers.pop(0)
            if timer.callback is not None:
                timer.callback()


def _descriptor(source: int | HasFileno) -> int:
    return source if isinstance(source, int) else source.fileno()
