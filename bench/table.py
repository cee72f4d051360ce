"""The table: rows that are measured on both engines in turn, with medians and their ratio."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from session import Session

Samples = list[float]


class Row:
    """One line of the table."""

    def __init__(self, name: str, goal: str) -> None:
        self.name, self.goal = name, goal
        self.ours: Samples = []
        self.theirs: Samples = []

    def text(self) -> str:
        """The line, or the part of it that could be measured."""
        if not self.ours:
            return f"{self.name:<44} failed"
        ours = statistics.median(self.ours)
        spread = f"{min(self.ours):.1f}..{max(self.ours):.1f}"
        if not self.theirs:
            return f"{self.name:<44} {'':>10} {ours:>10.1f} {'':>7}  {self.goal:<10} {spread}"
        theirs = statistics.median(self.theirs)
        ratio = ours / theirs if theirs else 0
        numbers = f"{theirs:>10.1f} {ours:>10.1f} {ratio:>7.2f}"
        return f"{self.name:<44} {numbers}  {self.goal:<10} {spread}"

    def show(self) -> None:
        """Print it."""
        print(self.text(), flush=True)


class Table:
    """The rows so far, and the engines that they are measured on; `theirs` may be absent."""

    def __init__(self, ours: Session, theirs: Session | None, *, quick: bool, scale: int) -> None:
        self.ours, self.theirs = ours, theirs
        self.quick = quick
        self.count = min(scale, 20) if quick else scale
        """Containers where a row is about many."""
        self.rows: list[Row] = []

    @property
    def sessions(self) -> Sequence[Session]:
        """Theirs and ours."""
        return [each for each in (self.theirs, self.ours) if each is not None]

    def row(self, name: str, goal: str) -> Row:
        """A new row, to be filled and then shown by whoever asked for it."""
        self.rows.append(Row(name, goal))
        return self.rows[-1]

    def in_turn(self, row: Row) -> Iterator[tuple[Session, Samples]]:
        """Theirs and ours, each with where its samples go."""
        if self.theirs is not None:
            yield self.theirs, row.theirs
        yield self.ours, row.ours

    def measure(
        self,
        name: str,
        unit: str,
        goal: str,
        times: int,
        sample: Callable[[Session], float],
    ) -> None:
        """Fill a row from both engines in turn."""
        self.compare(
            f"{name} [{unit}]",
            goal,
            times,
            ours=lambda: sample(self.ours),
            theirs=None if (theirs := self.theirs) is None else lambda: sample(theirs),
        )

    def compare(
        self,
        name: str,
        goal: str,
        times: int,
        *,
        ours: Callable[[], float],
        theirs: Callable[[], float] | None,
    ) -> None:
        """Fill a row from two measurements in turn; a first round does not count."""
        row = self.row(name, goal)
        for number in range((max(3, times // 5) if self.quick else times) + 1):
            for sample, samples in ((theirs, row.theirs), (ours, row.ours)):
                if sample is not None:
                    value = sample()
                    if number:
                        samples.append(value)
        row.show()
