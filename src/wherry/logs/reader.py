"""Reading a log back: all files of it in order, from the end, between times, and onwards.

Theory of operation. The writer renames `log` to `log.1`, `log.1` to `log.2` and so on while we
read. A reader opens the files newest first and knows them by their inode: when a rotation
happens in between it meets a file for the second time under its next name and passes over it,
but it can't miss one. A file that has been compressed meanwhile says in its header which one it
was. A follower does the same again whenever it has come to the end of its file: what is newer
than that one comes next.
"""

import os
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from wherry.kit.values import dataclass
from wherry.logs.compression import SUFFIX, Origin, open_compressed, origin_of
from wherry.logs.json_lines import STDERR, STDOUT, Line, decode_line

_BLOCK = 64 * 1024
_MOST_FILES = 1000
_WIDEST_GAP = 4
"""How many names in a row may be missing before older files: a rotation that is under way leaves
one empty, and another one may have come round when we look at the next."""
_MOST_LOOKS = 100
"""How often to look again when files were renamed while we looked."""
_ALL_STREAMS = frozenset({STDOUT, STDERR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which lines are wanted."""

    streams: frozenset[int] = _ALL_STREAMS
    since_ns: int | None = None
    until_ns: int | None = None
    tail: int | None = None
    """None: all. Records of both streams count, as in Docker, whichever are wanted."""

    def takes(self, line: Line) -> bool:
        """Whether a line is wanted, its place apart."""
        return (
            line.stream in self.streams
            and (self.since_ns is None or line.at_ns >= self.since_ns)
            and (self.until_ns is None or line.at_ns <= self.until_ns)
        )

    @property
    def takes_all(self) -> bool:
        """Whether every line is wanted."""
        return self.streams == _ALL_STREAMS and self.since_ns is None and self.until_ns is None

    def is_past(self, line: Line) -> bool:
        """Whether no line after this one can be wanted."""
        return self.until_ns is not None and line.at_ns > self.until_ns


class _Opened(NamedTuple):
    """An open file of the log."""

    file: int
    origin: Origin
    """What it is, or was before it was compressed."""
    is_unpacked: bool

    def is_same_as(self, known: "_Opened") -> bool:
        """Whether this was opened again under another name, or in its compressed form.

        What is open keeps its inode. But the one that a compressed file had may belong to a newer
        file by now: then the times differ.
        """
        if self.origin[:2] != known.origin[:2]:
            return False
        if not self.is_unpacked:
            return True
        return self.origin == (known.origin if known.is_unpacked else origin_of(known.file))


class LogReader:
    """The lines of one log, in order. Every call of `lines` gives what is new since the last."""

    def __init__(self, path: str, selection: Selection) -> None:
        self._path = path
        self._selection = selection
        self._files: deque[int] = deque()
        self._newest: _Opened | None = None
        """The newest file that was ever opened; it still is."""
        self._torn = b""
        self._records: Iterator[bytes] = iter(())
        """Of the block that was read last, those that were not given out yet."""
        self._has_begun = False
        self.has_ended = False
        """A line later than `until` was met."""

    def lines(self) -> Iterator[Line]:
        """Lines that are there now. Raises: OSError."""
        if not self._has_begun:
            self._begin()
        while not self.has_ended:
            self._open_newer()
            if not self._files:
                return
            yield from self._rest_of_file()
            if len(self._files) == 1:
                if not self._open_newer():
                    return
                # The writer turned to a newer file before we saw that there is one, so this
                # one is complete now, and may have grown after our last read.
                yield from self._rest_of_file()
            os.close(self._files.popleft())
            self._torn = b""

    def close(self) -> None:
        """Let go of the files."""
        while self._files:
            os.close(self._files.popleft())

    def _begin(self) -> None:
        self._has_begun = True
        self._open_newer()
        tail = self._selection.tail
        if tail is not None:
            self._skip_to_last(tail)

    def _open_newer(self) -> bool:
        """Open what is newer than the newest file that we know, oldest first; say if any is."""
        found = self._look_for_newer()
        for _ in range(_MOST_LOOKS):
            if not found or _is_at(self._path, found[0].file):
                break
            # The names moved on while we looked: a newer file may have come behind an older one.
            for each in found:
                os.close(each.file)
            found = self._look_for_newer()
        if found:
            self._newest = found[0]
            self._files.extend(each.file for each in reversed(found))
        return bool(found)

    def _look_for_newer(self) -> "list[_Opened]":
        """Open the files under the names 0, 1, 2, ... down to the newest that we know."""
        found: list[_Opened] = []
        missing = 0
        for number in range(_MOST_FILES):
            name = f"{self._path}.{number}" if number else self._path
            try:
                opened = _open(name)
            except FileNotFoundError:
                missing += 1
                if missing > _WIDEST_GAP:
                    break
                continue
            missing = 0
            if self._newest is not None and opened.is_same_as(self._newest):
                os.close(opened.file)
                break
            if any(opened.is_same_as(each) for each in found):
                os.close(opened.file)
                continue
            found.append(opened)
        return found

    def _skip_to_last(self, count: int) -> None:
        """Drop older files and move the first kept one so that `count` records remain."""
        kept: deque[int] = deque()
        while self._files:
            file = self._files.pop()
            kept.appendleft(file)
            size = os.fstat(file).st_size
            position, found = _before_last_records(file, size, count)
            os.lseek(file, position, os.SEEK_SET)
            count -= found
            if not count:
                break
        while self._files:
            os.close(self._files.popleft())
        self._files = kept

    def _rest_of_file(self) -> Iterator[Line]:
        """What is unread of the oldest file; `keep_up` may make that another one meanwhile."""
        takes_all = self._selection.takes_all
        while True:
            for record in self._records:
                line = decode_line(record)
                if line is None:
                    continue
                if takes_all:
                    yield line
                    continue
                if self._selection.is_past(line):
                    self.has_ended = True
                    return
                if self._selection.takes(line):
                    yield line
            if not self._read_block(self._files[0]):
                return

    def _read_block(self, file: int) -> bool:
        """Have the next records at hand; False at the end of the file."""
        block = os.read(file, _BLOCK)
        records = (self._torn + block).split(b"\n") if block else [self._torn]
        self._torn = records.pop()
        self._records = iter(records)
        return bool(block)

    def keep_up(self, *, most_files: int, most_bytes: int | None) -> int:
        """Skip lines until no more than this is unread; how many were skipped.

        For readers that wait for somebody slower than the writer. Raises: OSError.
        """
        if not self._has_begun:
            self._begin()
        self._open_newer()
        skipped = 0
        while len(self._files) > most_files:
            skipped += self._skip_block_or_file()
        while most_bytes is not None and self._unread_bytes() > most_bytes:
            skipped += self._skip_block_or_file()
        return skipped

    def _unread_bytes(self) -> int:
        return sum(
            max(0, os.fstat(file).st_size - os.lseek(file, 0, os.SEEK_CUR)) for file in self._files
        )

    def _skip_block_or_file(self) -> int:
        """Pass over the oldest unread records; how many."""
        skipped = sum(1 for _record in self._records)
        if self._files and not self._read_block(self._files[0]) and len(self._files) > 1:
            os.close(self._files.popleft())
            self._torn = b""
        return skipped


def _open(name: str) -> _Opened:
    """A file of the log, as it is or unpacked.

    Raises: FileNotFoundError, also for one that is damaged; OSError.
    """
    try:
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        try:
            return _Opened(*open_compressed(name + SUFFIX), is_unpacked=True)
        except ValueError as error:
            raise FileNotFoundError(2, str(error)) from error
    return _Opened(file, origin_of(file), is_unpacked=False)


def _is_at(path: str, file: int) -> bool:
    """Whether a path leads to an open file now."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == _identity(file)


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino


def _before_last_records(file: int, size: int, count: int) -> tuple[int, int]:
    """Where the last `count` records begin, and how many of them the file has."""
    if not count:
        return _end_of_records(file, size), 0
    found = 0
    end = _end_of_records(file, size)
    position = end
    while position:
        start = max(0, position - _BLOCK)
        block = os.pread(file, position - start, start)
        newline = len(block) - 1 if position == end else len(block)
        # The newline that ends the last record of all does not begin one.
        while (newline := block.rfind(b"\n", 0, newline)) >= 0:
            found += 1
            if found == count:
                return start + newline + 1, found
        position = start
    return 0, found + 1 if end else 0


def _end_of_records(file: int, size: int) -> int:
    """The offset after the last newline: a torn record behind it is no record yet."""
    position = size
    while position:
        start = max(0, position - _BLOCK)
        newline = os.pread(file, position - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0
