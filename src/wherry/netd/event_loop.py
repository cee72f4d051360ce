"""Call me back when this descriptor is ready, or then: the whole of netd's concurrency.

On epoll(7) itself: `selectors` would take a tenth of what a look-up of a name costs.
"""

import contextlib
import heapq
import select
import time
from collections.abc import Callable
from typing import Protocol

READ, WRITE = select.EPOLLIN, select.EPOLLOUT

Callback = Callable[[int], None]
"""Takes the events that are ready."""


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

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """Don't do it. Doing so twice, or afterwards, is no error."""
        self.callback = None


class EventLoop:
    """Descriptors and what to do when they are ready. One thread."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._watched: dict[int, tuple[int, Callback]] = {}
        self._timers: list[Timer] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after a delay."""
        timer = Timer(time.monotonic() + delay_s, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def watch(self, source: HasFileno, events: int, callback: Callback) -> None:
        """Watch a descriptor, or change what it is watched for; no events: let it be."""
        if not events:
            self.forget(source)
            return
        descriptor = source.fileno()
        watched = self._watched.get(descriptor)
        if watched is None:
            self._poll.register(descriptor, events)
        elif watched[0] != events:
            self._poll.modify(descriptor, events)
        self._watched[descriptor] = (events, callback)

    def forget(self, source: HasFileno) -> None:
        """Stop watching; before the descriptor is closed."""
        descriptor = source.fileno()
        if self._watched.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):
                self._poll.unregister(descriptor)

    def wait(self, timeout_s: float) -> None:
        """Wait for something to be ready or due, at most so long, and call back."""
        ready = self._poll.poll(self._until_due(timeout_s) if self._timers else timeout_s)
        for watched, (descriptor, events) in [(self._watched.get(x[0]), x) for x in ready]:
            # An earlier callback of the same round may have closed this one.
            if watched is not None and self._watched.get(descriptor) is watched:
                wanted, callback = watched
                callback(_named(events) & wanted)
        if self._timers:
            self._call_due()

    def _until_due(self, timeout_s: float) -> float:
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return timeout_s
        return min(timeout_s, max(0.0, self._timers[0].when - time.monotonic()))

    def _call_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()


def _named(events: int) -> int:
    """An error, or the other side's end, is met by whoever reads and by whoever writes."""
    return events if events in (READ, WRITE) else READ | WRITE
