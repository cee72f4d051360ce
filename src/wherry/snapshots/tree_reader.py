"""A tree of files as an archive, without a tar in between: what one reads, another can write.

Names are those of the walk: each directory before what is in it, in the order of their bytes.
Content is read when it is asked for.
"""

import os
import stat
from collections.abc import Iterator

from wherry.linux import xattrs
from wherry.linux.files import open_in_root
from wherry.snapshots.diff import KINDS, data_in, entry_of, kept_attributes
from wherry.snapshots.tar_reader import DIRECTORY, HARD_LINK, REGULAR, SYMLINK, TarEntry

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TreeReader:
    """What is under a path below a root: itself as `.`, then all that is in it."""

    def __init__(self, root: int, path: str) -> None:
        """`path` leads through no link. Raises (while iterating): OSError."""
        self._root = root
        self._path = os.fsencode(path)
        self._file = -1
        self._pieces: list[tuple[int, int]] = []
        """Offset and length of what is left of the present file's content, the next one last."""
        self._remaining = 0
        self._first_names: dict[tuple[int, int], bytes] = {}

    @property
    def remaining(self) -> int:
        """How many bytes of the present entry's content were not read yet."""
        return self._remaining

    def read_content(self, most: int = _CHUNK) -> bytes:
        """The next bytes of the present entry's content; zeros where the file became shorter."""
        if not self._remaining:
            return b""
        offset, length = self._pieces.pop()
        wanted = min(most, length, _CHUNK)
        content = os.pread(self._file, wanted, offset) or bytes(wanted)
        if length > len(content):
            self._pieces.append((offset + len(content), length - len(content)))
        self._remaining -= len(content)
        return content

    def __iter__(self) -> Iterator[TarEntry]:
        parent_path, _slash, name = self._path.rpartition(b"/")
        if not name:
            yield from self._directory(b"")
            return
        parent = open_in_root(self._root, parent_path or b".", _DIRECTORY)
        try:
            state = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(state.st_mode):
                yield from self._entry(parent, name, b".", state)
                return
        finally:
            os.close(parent)
        yield from self._directory(b"")

    def _directory(self, top: bytes) -> Iterator[TarEntry]:
        waiting = [top]
        while waiting:
            path = waiting.pop()
            full = b"/".join(part for part in (self._path, path) if part)
            directory = open_in_root(self._root, full or b".", _DIRECTORY)
            try:
                yield _directory_entry(directory, path or b".")
                below = []
                for name in sorted(os.fsencode(each) for each in os.listdir(directory)):
                    state = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    shown = path + b"/" + name if path else name
                    if stat.S_ISDIR(state.st_mode):
                        below.append(shown)
                    else:
                        yield from self._entry(directory, name, shown, state)
                waiting.extend(reversed(below))
            finally:
                os.close(directory)

    def _entry(
        self, directory: int, name: bytes, shown: bytes, state: os.stat_result
    ) -> Iterator[TarEntry]:
        kind = KINDS.get(stat.S_IFMT(state.st_mode))
        if kind is None:
            return  # a socket: nobody listens on its copy
        entry = entry_of(kind, shown, state)
        first = self._first_names.setdefault((state.st_dev, state.st_ino), shown)
        if state.st_nlink > 1 and first != shown:
            entry.kind, entry.link, entry.size = HARD_LINK, first, 0
            yield entry
            return
        if kind != REGULAR:
            entry.xattrs = kept_attributes(
                xattrs.list_at(directory, name), lambda each: xattrs.get_at(directory, name, each)
            )
            if kind == SYMLINK:
                entry.link = os.readlink(name, dir_fd=directory)
            yield entry
            return
        self._file = os.open(name, _FILE, dir_fd=directory)
        try:
            self._begin(entry)
            yield entry
        finally:
            os.close(self._file)
            self._file, self._pieces, self._remaining = -1, [], 0

    def _begin(self, entry: TarEntry) -> None:
        """Say what an open file has: attributes, and which bytes are data, as an archive would."""
        entry.xattrs = kept_attributes(
            xattrs.list_of(self._file), lambda each: xattrs.get(self._file, each)
        )
        state = os.fstat(self._file)
        entry.size = state.st_size
        pieces = [(0, state.st_size)] if state.st_size else []
        if state.st_blocks * 512 < state.st_size:
            pieces = list(data_in(self._file, state.st_size))
            entry.sparse, entry.full_size = tuple(pieces), state.st_size
            entry.size = sum(length for _offset, length in pieces)
        self._pieces = pieces[::-1]
        self._remaining = entry.size


def _directory_entry(directory: int, path: bytes) -> TarEntry:
    entry = entry_of(DIRECTORY, path, os.fstat(directory))
    entry.xattrs = kept_attributes(
        xattrs.list_of(directory), lambda each: xattrs.get(directory, each)
    )
    return entry
