"""Where a container's output is written: a json-file that rotates, or nowhere.

A sink never raises for what goes wrong on disk: a full disk or a file made immutable must not
stop a container. The block that could not be written is dropped and counted, and the file is
cut back to its last whole record, so that later ones can be read.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

from wherry.logs.compression import SUFFIX, Compression
from wherry.logs.json_lines import STDERR, STDOUT, LineEncoder
from wherry.logs.options import DRIVERS, REMOTE_DRIVERS
from wherry.logs.rotation import Rotation, rotation_of

_SLICES_PER_WRITE = 4
"""Of 64 KiB: a full file is compressed while a quarter of the next one is written."""
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class LogSink(Protocol):
    """Takes what a container writes."""

    lost_bytes: int
    """Output that could not be written."""

    def write(self, stream: int, data: bytes, at_ns: int) -> None:
        """Take output of stream 1 or 2 as it was read."""
        ...

    def finish(self, at_ns: int) -> None:
        """Write the unfinished lines: there is no more output."""
        ...

    def unfinished(self) -> dict[int, bytes]:
        """By stream, the beginnings of lines whose ends have not been written yet."""
        ...

    def resume(self, unfinished: Mapping[int, bytes]) -> None:
        """Go on where another sink of the same log stopped."""
        ...

    def file(self) -> int | None:
        """The descriptor that it writes to, by which another sink can go on."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class NoSink:
    """The driver `none`."""

    lost_bytes = 0

    def write(self, stream: int, data: bytes, at_ns: int) -> None:
        """Nothing is kept."""

    def finish(self, at_ns: int) -> None:
        """There is nothing to finish."""

    def unfinished(self) -> dict[int, bytes]:
        """Nothing is begun."""
        return {}

    def resume(self, unfinished: Mapping[int, bytes]) -> None:
        """Nothing goes on."""

    def file(self) -> int | None:
        """There is none."""
        return None

    def close(self) -> None:
        """There is nothing to let go of."""


class JsonFileSink:
    """The driver `json-file`: `path`, and when that is full, `path.1` and older ones."""

    def __init__(
        self,
        path: str,
        rotation: Rotation,
        attributes: Mapping[str, str] | None = None,
        file: int | None = None,
    ) -> None:
        """Open or continue the file, or go on with one that another sink has opened.

        Raises: OSError where it has to be opened.
        """
        self._path = path
        self._rotation = rotation
        self._encoders = {stream: LineEncoder(stream, attributes) for stream in (STDOUT, STDERR)}
        self.lost_bytes = 0
        self._file = os.open(path, _FLAGS, 0o640) if file is None else file
        self._size = os.fstat(self._file).st_size
        self._compression: Compression | None = None
        self._compress_newest()

    def write(self, stream: int, data: bytes, at_ns: int) -> None:
        """Append the lines that are complete."""
        records = self._encoders[stream].encode(data, at_ns)
        if records:
            self._append(records)
            self._compress_some()

    def finish(self, at_ns: int) -> None:
        """Append what came after each stream's last newline."""
        for encoder in self._encoders.values():
            rest = encoder.finish(at_ns)
            if rest:
                self._append(rest)

    def unfinished(self) -> dict[int, bytes]:
        """By stream, the beginnings of lines."""
        return {stream: encoder.unfinished for stream, encoder in self._encoders.items()}

    def resume(self, unfinished: Mapping[int, bytes]) -> None:
        """Go on with lines that another sink began."""
        for stream, beginning in unfinished.items():
            self._encoders[stream].resume(beginning)

    def file(self) -> int | None:
        """The file's descriptor."""
        return self._file

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._compression is not None:
            self._compression.abandon()
            self._compression = None

    def _append(self, records: bytes) -> None:
        limit = self._rotation.file_bytes
        while limit > 0 and self._size + len(records) > limit:
            room = records.rfind(b"\n", 0, max(0, limit - self._size)) + 1
            if not room and not self._size:
                room = records.index(b"\n") + 1
            self._append_to_file(records[:room])
            records = records[room:]
            if not records:
                return
            self._rotate()
        self._append_to_file(records)

    def _append_to_file(self, records: bytes) -> None:
        if not records:
            return
        try:
            written = os.write(self._file, records)
            while written < len(records):
                written += os.write(self._file, records[written:])
        except OSError:
            self.lost_bytes += len(records)
            self._cut_back()
        else:
            self._size += len(records)

    def _cut_back(self) -> None:
        """Forget the torn record that a full disk left behind."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        """Begin a new file. Where that fails the old one goes on: too large beats lost."""
        self._compress_rest()
        try:
            fresh = self._fresh_file()
        except OSError:
            self._size = 0
            return
        os.close(self._file)
        self._file, self._size = fresh, 0
        self._compress_newest()

    def _fresh_file(self) -> int:
        """An empty file in the place of the full one, which has moved on. Raises: OSError."""
        coming = f"{self._path}.new"
        fresh = os.open(coming, _FLAGS | os.O_TRUNC, 0o640)
        try:
            self._shift()
            os.rename(coming, self._path)
        except OSError:
            os.close(fresh)
            with suppress(OSError):
                os.unlink(coming)
            raise
        return fresh

    # -- compressing -------------------------------------------------------------------------

    def _compress_newest(self) -> None:
        """Begin to compress the newest full file; where that fails it stays as it is."""
        newest = f"{self._path}.1"
        if self._rotation.is_compressed and os.path.exists(newest):
            with suppress(OSError):
                self._compression = Compression(newest)

    def _compress_some(self) -> None:
        for _ in range(_SLICES_PER_WRITE):
            if self._compression is None:
                return
            self._compress_slice(self._compression)

    def _compress_rest(self) -> None:
        while self._compression is not None:
            self._compress_slice(self._compression)

    def _compress_slice(self, compression: Compression) -> None:
        try:
            if compression.step():
                self._compression = None
        except OSError:
            compression.abandon()
            self._compression = None

    def _shift(self) -> None:
        """Give each full file the next number; a single one is replaced where it is."""
        oldest = self._rotation.files - 1
        if not oldest:
            return
        for suffix in ("", SUFFIX) if self._rotation.is_compressed else ("",):
            # Under its new number a file has one form, and whatever has that number goes.
            with suppress(FileNotFoundError):
                os.unlink(f"{self._path}.{oldest}{suffix}")
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, oldest + 1))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            for suffix in ("", SUFFIX) if self._rotation.is_compressed else ("",):
                with suppress(FileNotFoundError):
                    os.rename(newer + suffix, older + suffix)


def open_sink(
    driver: str,
    path: str,
    options: Mapping[str, str],
    attributes: Mapping[str, str] | None = None,
    file: int | None = None,
) -> LogSink:
    """The sink of a driver; an empty name is json-file. With a `file` it goes on with that.

    Raises: OSError; ValueError for a driver or option that `logs.options.validate` refuses.
    """
    match driver:
        case "none":
            return NoSink()
        case "" | "json-file":
            return JsonFileSink(path, Rotation.from_options(options), attributes, file)
        case _ if driver in DRIVERS or driver in REMOTE_DRIVERS:
            # The local file of the others, from which `logs` reads and a logger feeds a receiver.
            return JsonFileSink(path, rotation_of(driver, options), attributes, file)
        case _:
            raise ValueError(f"unknown log driver {driver!r}")
