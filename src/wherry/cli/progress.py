"""Progress messages of pull, load, import and bootstrap, as lines or redrawn on a terminal."""

from collections.abc import Iterable
from typing import TextIO

from wherry.cli.failures import CommandFailed
from wherry.client.documents import Document, child, text


def show_progress(messages: Iterable[Document], to: TextIO, *, is_quiet: bool = False) -> None:
    """Show messages as they come.

    On a terminal each id keeps its line; elsewhere the steps that count bytes are left out.

    Raises: CommandFailed with the engine's text when a message tells of an error.
    """
    lines: dict[str, int] = {}
    is_terminal = to.isatty()
    for message in messages:
        if problem := text(child(message, "errorDetail"), "message") or text(message, "error"):
            to.flush()
            raise CommandFailed(problem)
        if is_quiet:
            continue
        if is_terminal:
            _redraw(message, lines, to)
        elif not text(message, "progress"):
            to.write(_line(message))
        to.flush()


def _line(message: Document) -> str:
    stream = text(message, "stream")
    if stream:
        return stream
    identifier, status = text(message, "id"), text(message, "status")
    return f"{identifier}: {status}\n" if identifier else f"{status}\n"


def _redraw(message: Document, lines: dict[str, int], to: TextIO) -> None:
    identifier = text(message, "id")
    if not identifier or text(message, "stream"):
        to.write(_line(message))
        # Lines above have scrolled by one: what was drawn stays drawn.
        lines.clear()
        return
    shown = f"{identifier}: {text(message, 'status')} {text(message, 'progress')}".rstrip()
    if identifier not in lines:
        lines[identifier] = len(lines)
        to.write(f"{shown}\n")
        return
    up = len(lines) - lines[identifier]
    to.write(f"\x1b[{up}A\x1b[2K\r{shown}\n" + (f"\x1b[{up - 1}B" if up > 1 else ""))
