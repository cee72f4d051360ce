"""Events on disk: one line of JSON for each, in files that take turns.

Theory of operation. An event is written before anybody is told of it, without fsync: it survives
the daemon's death, and a power cut takes the last seconds. Files are read back in the order of
their age; a line that a crash tore is passed over. Beside the event each line says who asked for
what caused it.
"""

import logging
import os
from collections.abc import Iterator

import msgspec

from wherry.model.callers import Caller
from wherry.model.events import Event

FILE_BYTES = 8 << 20
FILES = 8
"""64 MB of events, a few hundred thousand, are kept."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

_log = logging.getLogger(__name__)


class _Line(msgspec.Struct, frozen=True):
    """What a line holds."""

    event: Event
    by: Caller | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Line)


class EventJournal:
    """The events of this engine and of those before it."""

    def __init__(self, path: str, *, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        """Continue the file; it is `path`, older ones are `path.1`, ... Raises: OSError."""
        self._path = path
        self._file_bytes = file_bytes
        self._files = files
        self._is_failing = False
        self._open()
        self._end_torn_line()

    def append(self, event: Event, by: Caller | None) -> None:
        """Keep an event. A disk that takes nothing is told once and does not stop the engine."""
        line = _encoder.encode(_Line(event, by)) + b"\n"
        try:
            if self._size + len(line) > self._file_bytes:
                self._rotate()
            written = os.write(self._file, line)
            self._size += written
            if written < len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            if not self._is_failing:
                _log.error("events.not_kept path=%s problem=%s", self._path, error)
            self._is_failing = True
        else:
            self._is_failing = False

    def last_sequence(self) -> int:
        """The number of the newest event; 0 when there is none. Blocking."""
        for path in reversed(self._paths()):
            last = 0
            for line in _lines_of(path):
                last = max(last, line.event.sequence)
            if last:
                return last
        return 0

    def read(self, since_ns: int | None, until_ns: int | None) -> Iterator[Event]:
        """The events that are kept of a time, oldest first. Blocking. Raises: OSError."""
        for event, _caller in self.entries(since_ns, until_ns):
            yield event

    def entries(
        self, since_ns: int | None, until_ns: int | None
    ) -> Iterator[tuple[Event, Caller | None]]:
        """The same with who asked; None: the engine itself. Blocking. Raises: OSError."""
        for path in self._paths():
            for line in _lines_of(path):
                at_ns = line.event.at_ns
                if (since_ns is None or at_ns >= since_ns) and (
                    until_ns is None or at_ns <= until_ns
                ):
                    yield line.event, line.by

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self._path, _FLAGS, 0o600)
        self._size = os.fstat(self._file).st_size

    def _end_torn_line(self) -> None:
        """What a crash left half written must not swallow the next event."""
        with open(self._path, "rb") as file:
            if self._size and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                self._size += os.write(self._file, b"\n")

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            older = f"{self._path}.{number}"
            newer = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(newer):
                os.rename(newer, older)
        os.close(self._file)
        self._open()

    def _paths(self) -> list[str]:
        """Oldest first."""
        numbered = [f"{self._path}.{number}" for number in range(self._files - 1, 0, -1)]
        return [path for path in (*numbered, self._path) if os.path.exists(path)]


def _lines_of(path: str) -> Iterator[_Line]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return
    with file:
        for text in file:
            try:
                yield _decoder.decode(text)
            except msgspec.MsgspecError:
                continue
