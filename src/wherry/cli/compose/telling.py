"""How the progress of a plan is told: lines, or a list that is drawn over on a terminal.

Both say the same words about the same things. Lines come in the order of what happened; on a
terminal each thing keeps its line, with how long it took.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.session import Session, explain
from wherry.cli.terminal import picture_size
from wherry.client.errors import ClientError
from wherry.compose import Report, Told

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_DRAWN_EVERY_S = 0.1
_DRY = "DRY-RUN MODE - "
_FORMS = ("", "auto", "tty", "plain", "json", "quiet")


@contextmanager
def telling(session: Session, parsed: Parsed, title: str = "Running") -> Iterator[Report]:
    """Tells progress on standard error for as long as the block runs. Raises: CommandFailed."""
    form = progress_form(session, parsed)
    if form == "quiet":
        yield lambda _told: None
    elif form == "json":
        yield _as_json(session.err)
    elif form == "tty":
        with _Live(session.err, title) as live:
            yield live.tell
    else:
        yield _as_lines(session.err, _DRY if parsed.is_on("dry-run") else "")


def is_drawn(session: Session, parsed: Parsed) -> bool:
    """Whether progress is drawn over, so that it may be told as often as it changes."""
    return progress_form(session, parsed) == "tty"


def progress_form(session: Session, parsed: Parsed) -> str:
    """tty, plain, json or quiet. Raises: CommandFailed."""
    form = parsed.text("progress") or os.environ.get("COMPOSE_PROGRESS", "")
    if form not in _FORMS:
        raise CommandFailed(f'unsupported --progress value "{form}"')
    ansi = parsed.text("ansi") or os.environ.get("COMPOSE_ANSI", "auto")
    if ansi not in ("never", "always", "auto"):
        raise CommandFailed(f'unsupported --ansi value "{ansi}"')
    if parsed.is_on("quiet"):
        return "quiet"
    if form not in ("", "auto"):
        return form
    is_live = session.err.isatty() and ansi != "never" and not parsed.is_on("dry-run")
    return "tty" if is_live else "plain"


def is_quiet_build(parsed: Parsed) -> bool:
    """Whether nothing is to be said of builds."""
    return any(map(parsed.is_on, ("quiet", "quiet-build", "build-quiet")))


def problem_text(problem: BaseException) -> str:
    """A failure in the words that end the command too."""
    if isinstance(problem, ClientError | OSError):
        return explain(problem)
    return str(problem)


def _as_lines(to: TextIO, prefix: str) -> Report:
    lock = threading.Lock()

    def tell(told: Told) -> None:
        word = problem_text(told.problem) if told.problem else told.word
        reason = f"  ({told.reason})" if told.reason and prefix else ""
        with lock:
            to.write(f"{prefix} {told.subject}  {word}{reason}\n")
            to.flush()

    return tell


def _as_json(to: TextIO) -> Report:
    lock = threading.Lock()

    def tell(told: Told) -> None:
        line = {"id": told.subject, "status": told.word}
        if told.problem:
            line |= {"status": "Error", "text": problem_text(told.problem)}
        with lock:
            to.write(json.dumps(line) + "\n")
            to.flush()

    return tell


class _Line:
    """What is known of one thing."""

    def __init__(self) -> None:
        self.word = ""
        self.is_over = False
        self.has_failed = False
        self.began = time.monotonic()
        self.took_s = 0.0


class _Live:
    """The list on a terminal; drawn anew ten times a second while something is under way."""

    def __init__(self, to: TextIO, title: str) -> None:
        self._to = to
        self._title = title
        self._lines: dict[str, _Line] = {}
        self._drawn = 0
        self._frame = 0
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "_Live":
        self._thread.start()
        return self

    def __exit__(self, *_problem: object) -> None:
        self._end.set()
        self._thread.join()
        with self._lock:
            self._draw()

    def tell(self, told: Told) -> None:
        """Take news; they are drawn with the next picture."""
        with self._lock:
            line = self._lines.setdefault(told.subject, _Line())
            if line.is_over and not told.is_over:
                line.began = time.monotonic()
            line.word = told.word
            line.is_over = told.is_over
            line.has_failed = told.problem is not None
            line.took_s = time.monotonic() - line.began

    def _run(self) -> None:
        while not self._end.wait(_DRAWN_EVERY_S):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if not self._lines:
            return
        self._frame += 1
        columns, rows = picture_size(self._to)
        over = sum(line.is_over for line in self._lines.values())
        shown = [f"[+] {self._title} {over}/{len(self._lines)}"]
        width = max(map(len, self._lines)) + 2
        paint = [self._painted(name, line, width, columns) for name, line in self._lines.items()]
        shown += paint[-max(rows - 2, 1) :]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._to.write(up + "".join(f"\r\x1b[2K{line}\n" for line in shown))
        self._to.flush()
        self._drawn = len(shown)

    def _painted(self, name: str, line: _Line, width: int, columns: int) -> str:
        mark, colour = _FRAMES[self._frame % len(_FRAMES)], "\x1b[34m"
        took_s = time.monotonic() - line.began
        if line.is_over:
            mark, colour, took_s = "✔", "\x1b[32m", line.took_s
        if line.has_failed:
            mark, colour = "✘", "\x1b[31m"
        time_shown = f"{took_s:.1f}s"
        text = f" {mark} {name.ljust(width)}{line.word}"
        room = max(columns - len(time_shown) - 1, 20)
        text = text[:room].ljust(room)
        return f"{colour}{text}\x1b[0m{time_shown}"


Ask = Callable[[str], bool]


def asker(session: Session, *, assumes_yes: bool) -> Ask:
    """Asks the user a question that is answered by yes or no; no is the default."""

    def ask(question: str) -> bool:
        if assumes_yes:
            return True
        session.err.write(f"{question} [y/N] ")
        session.err.flush()
        try:
            return input().strip().lower() in ("y", "yes")
        except EOFError:
            return False

    return ask
