"""Time that moves only when a test says so."""


class FakeClock:
    """A `wherry.kit.clock.Clock`: both of its times stand still."""

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
