"""Wall time and monotonic time behind one small protocol, so that tests can own both."""

import time
from typing import Protocol


class Clock(Protocol):
    """Source of time. Wall time is for people and records, monotonic time for durations."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go backwards, from an arbitrary start."""
        ...


class SystemClock:
    """The kernel's clocks."""

    def now_ns(self) -> int:
        """CLOCK_REALTIME in nanoseconds."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC in nanoseconds."""
        return time.monotonic_ns()


class FakeClock:
    """A clock that moves only when a test says so."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = 0

    def now_ns(self) -> int:
        """The wall time that the test set."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """The monotonic time that the test set."""
        return self._monotonic_ns

    def advance(self, duration_ns: int) -> None:
        """Move both times forward."""
        self._now_ns += duration_ns
        self._monotonic_ns += duration_ns
