"""Call me back when this descriptor is ready, or then: the whole of netd's concurrency."""

import contextlib
import heapq
import selectors
import time
from collections.abc import Callable
from typing import Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

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
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after a delay."""
        timer = Timer(time.monotonic() + delay_s, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def watch(self, source: HasFileno, events: int, callback: Callback) -> None:
        """Watch a descriptor, or change what it is watched for; no events: let it be."""
        descriptor = source.fileno()
        watched = self._selector.get_map().get(descriptor)
        if watched is None:
            if events:
                self._selector.register(descriptor, events, callback)
        elif not events:
            self._selector.unregister(descriptor)
        elif (watched.events, watched.data) != (events, callback):
            self._selector.modify(descriptor, events, callback)

    def forget(self, source: HasFileno) -> None:
        """Stop watching; before the descriptor is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(source.fileno())

    def wait(self, timeout_s: float) -> None:
        """Wait for something to be ready or due, at most so long, and call back."""
        now = time.monotonic()
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if self._timers:
            timeout_s = min(timeout_s, max(0.0, self._timers[0].when - now))
        for key, events in self._selector.select(timeout_s):
            # An earlier callback of the same round may have closed this one.
            if self._selector.get_map().get(key.fd) is key:
                callback: Callback = key.data
                callback(events)
        self._call_due()

    def _call_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].when <= now:
            timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()
