"""Progress messages of transfers, as lines or redrawn on a terminal.

On a terminal each layer keeps its line, with a bar where bytes are counted and how fast they
come. Lines are cut to the terminal's width: one that wraps would put all others out of place.
"""

import time
from collections.abc import Iterable
from typing import TextIO

from wherry.cli.failures import CommandFailed
from wherry.cli.terminal import picture_size
from wherry.client.documents import Document, child, number, text
from wherry.kit.byte_sizes import human_size_short

_BAR = 24


def show_progress(messages: Iterable[Document], to: TextIO, *, is_quiet: bool = False) -> None:
    """Show messages as they come.

    On a terminal each id keeps its line; elsewhere the steps that count bytes are left out.

    Raises: CommandFailed with the engine's text when a message tells of an error.
    """
    screen = _Screen(to) if to.isatty() else None
    for message in messages:
        if problem := text(child(message, "errorDetail"), "message") or text(message, "error"):
            to.flush()
            raise CommandFailed(problem)
        if is_quiet:
            continue
        if screen is not None:
            screen.show(message)
        elif not text(message, "progress") and not child(message, "progressDetail"):
            to.write(_line(message))
        to.flush()


def _line(message: Document) -> str:
    stream = text(message, "stream")
    if stream:
        return stream
    identifier, status = text(message, "id"), text(message, "status")
    return f"{identifier}: {status}\n" if identifier else f"{status}\n"


class _Screen:
    """The lines of a transfer on a terminal."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._lines: dict[str, int] = {}
        self._began: dict[tuple[str, str], tuple[float, int]] = {}

    def show(self, message: Document) -> None:
        """Draw a message, over the line that its layer has already."""
        identifier = text(message, "id")
        if not identifier or text(message, "stream"):
            self._to.write(_line(message))
            # Lines above have scrolled by one: what was drawn stays drawn.
            self._lines.clear()
            return
        columns, rows = picture_size(self._to)
        shown = self._text(identifier, message)[: columns - 1]
        if identifier not in self._lines:
            self._lines[identifier] = len(self._lines)
            self._to.write(f"{shown}\n")
            return
        up = len(self._lines) - self._lines[identifier]
        if up >= rows:
            return  # It has scrolled out of reach.
        down = f"\x1b[{up - 1}B" if up > 1 else ""
        self._to.write(f"\x1b[{up}A\x1b[2K\r{shown}\n{down}")

    def _text(self, identifier: str, message: Document) -> str:
        status, detail = text(message, "status"), child(message, "progressDetail")
        done, total = number(detail, "current"), number(detail, "total")
        if not detail or done <= 0:
            return f"{identifier}: {status} {text(message, 'progress')}".rstrip()
        speed = self._speed(identifier, status, done)
        if total <= 0:
            return f"{identifier}: {status} {human_size_short(done)}{speed}"
        filled = min(_BAR, _BAR * done // total)
        arrow = "=" * filled + (">" if filled < _BAR else "")
        counts = f"{human_size_short(done)}/{human_size_short(total)}"
        return f"{identifier}: {status:<11} [{arrow:<{_BAR}}] {counts}{speed}"

    def _speed(self, identifier: str, status: str, done: int) -> str:
        """Bytes a second since the first count of this step."""
        now = time.monotonic()
        began, before = self._began.setdefault((identifier, status), (now, done))
        if now - began < 0.5:
            return ""
        return f"  {human_size_short((done - before) / (now - began))}/s"
