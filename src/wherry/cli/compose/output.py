"""Lines of many containers as one output: each with its container's name, in its colour.

The names are padded to the longest one that there is. Colours are Compose's, in its order; none
where nobody sees them.
"""

import os
import sys
import threading
from collections.abc import Iterable

from wherry.cli.flags import Parsed
from wherry.kit.streams import STDERR, Unframer

_CODES = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


class Painter:
    """Writes lines for many containers, from many threads."""

    def __init__(self, parsed: Parsed, names: Iterable[str]) -> None:
        self._has_prefix = not parsed.is_on("no-log-prefix")
        self._has_colours = _has_colours(parsed)
        self._lock = threading.Lock()
        self._codes: dict[str, str] = {}
        self._width = 0
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Make room for a name, and give it a colour."""
        if name not in self._codes:
            self._codes[name] = _CODES[len(self._codes) % len(_CODES)]
            self._width = max(self._width, len(name))

    def line(self, name: str, text: str, *, to_errors: bool = False) -> None:
        """Write one line of a container."""
        stream = sys.stderr if to_errors else sys.stdout
        with self._lock:
            stream.write(f"{self._prefix(name)}{text}\n")
            stream.flush()

    def note(self, text: str) -> None:
        """Write one line of our own."""
        with self._lock:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def _prefix(self, name: str) -> str:
        if not self._has_prefix:
            return ""
        shown = f"{name.ljust(self._width)}  | "
        if not self._has_colours:
            return shown
        return f"\x1b[{self._codes.get(name, _CODES[0])}m{shown}\x1b[0m"


def _has_colours(parsed: Parsed) -> bool:
    ansi = parsed.text("ansi") or os.environ.get("COMPOSE_ANSI", "auto")
    if parsed.is_on("no-color") or ansi == "never" or os.environ.get("NO_COLOR"):
        return False
    return ansi == "always" or sys.stdout.isatty()


class LineCutter:
    """Cuts what comes from a container into whole lines; the last may end without a newline."""

    def __init__(self, painter: Painter, name: str, *, is_framed: bool) -> None:
        self._painter = painter
        self._name = name
        self._unframer = Unframer() if is_framed else None
        self._rest = {False: b"", True: b""}

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the engine; write what is whole."""
        if self._unframer is None:
            self._take(data, to_errors=False)
            return
        for stream, payload in self._unframer.feed(data):
            self._take(payload, to_errors=stream == STDERR)

    def end(self) -> None:
        """Write what is left."""
        for to_errors, rest in self._rest.items():
            if rest:
                self._write(rest, to_errors=to_errors)
        self._rest = {False: b"", True: b""}

    def _take(self, data: bytes, *, to_errors: bool) -> None:
        *lines, rest = (self._rest[to_errors] + data).split(b"\n")
        self._rest[to_errors] = rest
        for line in lines:
            self._write(line, to_errors=to_errors)

    def _write(self, line: bytes, *, to_errors: bool) -> None:
        self._painter.line(
            self._name, line.decode(errors="replace").removesuffix("\r"), to_errors=to_errors
        )


def shown_name(container: str, project: str, separator: str = "-") -> str:
    """A container's name without its project's."""
    return container.removeprefix(f"{project}{separator}")
