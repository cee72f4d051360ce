"""A build as lines of text, as BuildKit prints them.

Each step has a number. What one says comes together: another step's lines wait until it ends, or
until it has had the word for a while. A step that ended is told at once.
"""

import time
from collections import defaultdict
from typing import TextIO

from wherry.cli.builds.story.trace import News, Told, count_words, last_words, seconds
from wherry.wire.buildkit.control import VertexStatus

_TURN_S = 5.0
"""For how long one step may keep the word while others wait."""
_LEAST_PROGRESS, _LEAST_PAUSE_S = 0.05, 5.0
"""How much farther a count must be, or how much later, to be told again."""


class Plain:
    """Writes what is new."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._waiting: dict[int, list[str]] = defaultdict(list)
        """Lines that were not written yet, by the step's number."""
        self._steps: dict[int, Told] = {}
        self._open: set[int] = set()
        self._current = 0
        self._since = 0.0
        self._is_first = True
        self._counts: dict[tuple[int, str], VertexStatus] = {}

    def show(self, news: News) -> None:
        """What one message brought."""
        for told in news.changed:
            if told.number and told.number not in self._steps:
                self._steps[told.number] = told
                self._open.add(told.number)
                self._waiting[told.number] = []
        for told, status in news.counted:
            if told.number and self._is_news(told, status):
                self._waiting[told.number].append(_count(status))
        for told, lines in news.said:
            if told.number:
                self._waiting[told.number] += lines
        for told in news.changed:
            if told.number in self._open and told.ended:
                self._open.discard(told.number)
                self._waiting[told.number] += [*_rest(told), _ending(told)]
        self._write_waiting()

    def close(self) -> None:
        """Write what still waits."""
        for number in [*self._waiting]:
            self._write(number)
        self._to.flush()

    def _write_waiting(self) -> None:
        if self._current in self._waiting:
            self._write(self._current)
        for number in [each for each in self._waiting if each not in self._open]:
            self._write(number)
        is_over = time.monotonic() - self._since > _TURN_S
        if self._waiting and (self._current not in self._open or is_over):
            self._write(next(iter(self._waiting)))
        self._to.flush()

    def _write(self, number: int) -> None:
        """All that waits of one step, behind its name where another had the word."""
        if number != self._current:
            if self._current in self._open:
                self._to.write(f"#{self._current} ...\n")
            if not self._is_first:
                self._to.write("\n")
            self._to.write(f"#{number} {self._steps[number].vertex.name}\n")
            self._current, self._since, self._is_first = number, time.monotonic(), False
        for line in self._waiting.pop(number, ()):
            self._to.write(f"#{number} {line}\n")
        if number not in self._open:
            self._current = 0

    def _is_news(self, told: Told, status: VertexStatus) -> bool:
        """Whether a count is far enough from the one that was told before."""
        last = self._counts.get((told.number, status.ID))
        if last is not None and status.completed is None:
            progress = (status.current - last.current) / status.total if status.total else 0.0
            pause = seconds(status.timestamp) - seconds(last.timestamp)
            if progress < _LEAST_PROGRESS and pause < _LEAST_PAUSE_S:
                return False
        self._counts[told.number, status.ID] = status
        return True


def _count(status: VertexStatus) -> str:
    words = [status.ID, count_words(status)]
    ended = seconds(status.completed) or seconds(status.timestamp)
    if status.started is not None and (took := ended - seconds(status.started)) > 0.01:
        words.append(f"{took:.1f}s")
    if status.completed is not None:
        words.append("done")
    return " ".join(filter(None, words))


def _rest(told: Told) -> list[str]:
    return [f"{told.duration:.3f} {told.partial}"] if told.partial else []


def _ending(told: Told) -> str:
    if told.vertex.error:
        return "CANCELED" if told.is_broken_off else f"ERROR: {told.vertex.error}"
    return "CACHED" if told.vertex.cached else f"DONE {told.duration:.1f}s"


def failed_steps(begun: list[Told]) -> list[str]:
    """The last words of steps that failed."""
    lines = []
    for told in begun:
        if told.vertex.error and not told.is_broken_off:
            lines += ["------", f" > {told.vertex.name}:", *last_words(told), "------"]
    return lines
