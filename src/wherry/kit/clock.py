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
