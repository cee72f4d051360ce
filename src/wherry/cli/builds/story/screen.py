"""A build on a terminal: a list of steps with their times, drawn again as it changes.

A picture is written at once and over the one before it, each line to its end, and only if it
differs: nothing is cleared first, so nothing flickers. Of more lines than the terminal has, those
that end last are shown, and whatever still runs.
"""

import os
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from wherry.cli.builds.story.trace import Told, Trace, byte_words, count_words, seconds
from wherry.cli.terminal import picture_size
from wherry.kit.values import dataclass

_EACH_S = 0.1
_OUTPUT_LINES = 6
"""Of what a running step says."""
_HIDE, _SHOW, _REST, _END_OF_LINE = "\x1b[?25l", "\x1b[?25h", "\x1b[J", "\x1b[K"
_PLAIN, _BLUE, _RED, _YELLOW, _FAINT = "", "\x1b[34m", "\x1b[31m", "\x1b[33m", "\x1b[2m"


@dataclass(frozen=True, slots=True)
class _Row:
    text: str
    seconds: float = -1.0
    """Less than zero: no time is shown."""
    status: str = ""
    colour: str = _PLAIN
    runs: bool = False


class Screen:
    """Draws a trace until it is closed."""

    def __init__(self, to: TextIO, trace: Trace, lock: threading.Lock) -> None:
        """`lock`: held by whoever changes the trace."""
        self._to = to
        self._trace = trace
        self._lock = lock
        self._drawn: list[str] = []
        self._ending = threading.Event()
        self._ahead: float | None = None
        """How far this machine's clock is ahead of the engine's."""
        self._thread = threading.Thread(target=self._keep_drawing, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Draw the last picture, with all of its lines."""
        self._ending.set()
        self._thread.join()
        self._draw(is_last=True)
        self._to.write(_SHOW)
        self._to.flush()

    def _keep_drawing(self) -> None:
        while not self._ending.wait(_EACH_S):
            self._draw(is_last=False)

    def _draw(self, *, is_last: bool) -> None:
        columns, rows = picture_size(self._to)
        with self._lock:
            now = time.time()
            if self._trace.begun:
                if self._ahead is None:
                    self._ahead = now - self._trace.begun[0].started
                picture = lines(self._trace, now - self._ahead, columns, 0 if is_last else rows)
            elif self._trace.sent_bytes:
                sent = byte_words(self._trace.sent_bytes)
                picture = ["[+] Building (0/0)", f" => sending build context: {sent}"]
            else:
                return
        if picture == self._drawn:
            return
        up = f"\x1b[{len(self._drawn)}A" if self._drawn else ""
        body = "".join(f"\r{line}{_END_OF_LINE}\n" for line in picture)
        rest = _REST if len(picture) < len(self._drawn) else ""
        self._to.write(f"{_HIDE}{up}{body}{rest}")
        self._to.flush()
        self._drawn = picture


def lines(trace: Trace, now: float, columns: int, rows: int) -> list[str]:
    """The picture of one moment; `rows` zero: as many lines as it takes."""
    done = sum(1 for each in trace.vertices if each.ended)
    total = len(trace.vertices)
    is_finished = not rows and done == total
    head = f"[+] Building {max(now - trace.begun[0].started, 0):.1f}s ({done}/{total})"
    head += " FINISHED" if is_finished else ""
    found = [row for told in trace.begun for row in _rows(told, now)]
    shown = _fitting(found, rows - 2) if rows else found
    return [head[: columns - 1], *(_line(row, columns - 1) for row in shown)]


def _rows(told: Told, now: float) -> Iterator[_Row]:
    name, colour = told.vertex.name, _BLUE if told.ended else _PLAIN
    if told.vertex.error:
        word, colour = ("CANCELED", _YELLOW) if told.is_broken_off else ("ERROR", _RED)
        name = f"{word} {name}"
    elif told.vertex.cached:
        name = f"CACHED {name}"
    runs = not told.ended
    yield _Row(f" => {name}", (told.ended or now) - told.started, colour=colour, runs=runs)
    for status in told.statuses.values():
        ended = seconds(status.completed)
        took = (ended or now) - seconds(status.started or status.timestamp)
        colour = _BLUE if ended else _PLAIN
        yield _Row(f" => => {status.ID}", took, count_words(status), colour, runs)
    if runs:
        for line in [*told.last_lines][-_OUTPUT_LINES:]:
            _time, _blank, text = line.partition(" ")
            yield _Row(f" => => # {text}", colour=_FAINT, runs=True)


def _fitting(rows: list[_Row], most: int) -> list[_Row]:
    """As many as there is room for: whatever runs, and the last of the others."""
    if len(rows) <= most:
        return rows
    running = [each for each in rows if each.runs][-most:]
    left = most - len(running)
    others = [each for each in rows if not each.runs][-left:] if left > 0 else []
    kept = {*map(id, running), *map(id, others)}
    return [each for each in rows if id(each) in kept]


def _line(row: _Row, width: int) -> str:
    took = "" if row.seconds < 0 else f"{row.seconds if row.seconds >= 0.05 else 0:.1f}s"
    status = f" {row.status}" if row.status else ""
    room = max(width - len(took) - 1, 0)
    text = "".join(each for each in row.text.expandtabs(4) if each.isprintable())
    if len(text) + len(status) <= room:
        text += status
    line = f"{text[:room]:<{room}} {took}".rstrip()
    if not row.colour or os.environ.get("NO_COLOR"):
        return line
    return f"{row.colour}{line}\x1b[0m"
