"""Call me back when this descriptor is ready: the whole of netd's concurrency."""

import contextlib
import selectors
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


class EventLoop:
    """Descriptors and what to do when they are ready. One thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, source: HasFileno, events: int, callback: Callback) -> None:
        """Watch a descriptor, or change what it is watched for; no events: let it be."""
        descriptor = source.fileno()
        watched = self._selector.get_map().get(descriptor)
        if watched is None:
            if events:
                self._selector.register(descriptor, events, callback)
        elif not events:
            self._selector.unregister(descriptor)
        elif watched.events != events:
            self._selector.modify(descriptor, events, callback)

    def forget(self, source: HasFileno) -> None:
        """Stop watching; before the descriptor is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(source.fileno())

    def wait(self, timeout_s: float) -> None:
        """Wait for something to be ready, at most so long, and call back."""
        for key, events in self._selector.select(timeout_s):
            # An earlier callback of the same round may have closed this one.
            if self._selector.get_map().get(key.fd) is key:
                callback: Callback = key.data
                callback(events)
