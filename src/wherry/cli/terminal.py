"""This process's terminal: its size, raw mode, and the way back on every exit."""

import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

_USUAL, _NARROWEST = (24, 80), 40
_CC = 6  # The place of the control characters in what tcgetattr gives.
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def size(descriptor: int) -> tuple[int, int] | None:
    """Rows and columns of a terminal; None when it is none, or doesn't know."""
    try:
        columns, rows = os.get_terminal_size(descriptor)
    except OSError:
        return None
    return (rows, columns) if rows and columns else None


def picture_size(to: TextIO) -> tuple[int, int]:
    """Columns and rows to draw in; the usual ones where a terminal does not know."""
    try:
        found = size(to.fileno())
    except (OSError, ValueError):
        found = None  # Closed, or no file at all.
    rows, columns = found if found is not None else _USUAL
    return max(columns, _NARROWEST), rows


@contextmanager
def raw_mode(descriptor: int) -> Iterator[None]:
    """Pass every key on as it is typed; nothing happens if the descriptor is no terminal.

    The old mode comes back when the block ends, also when SIGTERM or SIGHUP ends the process.
    """
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    handlers = {
        number: signal.signal(number, _exit_by)
        for number in _ENDING_SIGNALS
        if signal.getsignal(number) is signal.SIG_DFL
    }
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, _raw(before))
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _exit_by(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _raw(attributes: list[Any]) -> list[Any]:
    """The mode that cfmakeraw(3) makes of one (a list of mixed types, as termios has it)."""
    iflag, oflag, cflag, lflag = attributes[:4]
    iflag &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    oflag &= ~termios.OPOST
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = (cflag & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    characters = list(attributes[_CC])
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, *attributes[4:_CC], characters]
