"""A tree that is a tar: kept as one file, with an index of where each member's content is.

A context is never unpacked. Of ten thousand files that a client sent, those that no step takes
cost one entry of the index. Names go through links as they would have, had the archive been
unpacked: below its root, and at most forty of them (path_resolution(7)).
"""

import copy
import os
import posixpath
from collections.abc import Iterator, Sequence
from typing import IO

from wherry.builder.sources.trees import Place
from wherry.kit.values import dataclass
from wherry.model.errors.images import ArchiveRefused
from wherry.snapshots import (
    DIRECTORY,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Archive,
    Readable,
    TarEntry,
    TarReader,
)

MOST_MEMBERS = 2_000_000
_MOST_LINKS = 40
_CHUNK = 1 << 20


@dataclass(slots=True)
class _Member:
    entry: TarEntry
    offset: int
    """Where its content begins in the spooled tar."""
    names: set[str] | None
    """What a directory has; None for anything else."""


class TarTree:
    """The members of a tar; files belong to nobody in particular, and so to root."""

    def __init__(self, source: Readable, spool: IO[bytes]) -> None:
        """Read a plain tar to its end, and keep its bytes in a file, which becomes ours.

        Raises: ArchiveRefused; OSError.
        """
        self._spool = spool
        self._members = {"": _directory()}
        reader = TarReader(_Spooled(source, spool))
        for entry in reader:
            self._add(entry, reader.offset)
        spool.flush()

    def close(self) -> None:
        """Let go of the bytes."""
        self._spool.close()

    def lookup(self, path: str) -> Place | None:
        """What a path leads to."""
        real = self._resolved(path)
        member = None if real is None else self._members.get(real)
        return None if member is None or real is None else Place(real, member.names is not None)

    def names(self, place: Place) -> Sequence[str]:
        """What a directory has."""
        return sorted(self._members[place.path].names or ())

    def entries(self, place: Place) -> Archive:
        """What is at a place."""
        return _Members(self, place)

    def walk(self, top: str) -> Iterator[tuple[str, _Member]]:
        """A member and all below it, each directory before what is in it."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            member = self._members[path]
            yield path, member
            prefix = f"{path}/" if path else ""
            waiting += [prefix + name for name in sorted(member.names or (), reverse=True)]

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the spooled tar. Raises: OSError."""
        return os.pread(self._spool.fileno(), size, offset)

    # -- making the index --------------------------------------------------------------------

    def _add(self, entry: TarEntry, offset: int) -> None:
        path = self._real_name(os.fsdecode(entry.path))
        if not path:
            if entry.kind == DIRECTORY:
                self._members[""].entry = entry
            return
        entry.uid, entry.gid = 0, 0
        if len(self._members) > MOST_MEMBERS:
            raise ArchiveRefused(f"more than {MOST_MEMBERS} files in a context")
        if entry.kind == HARD_LINK:
            linked = self._members.get(self._real_name(os.fsdecode(entry.link)))
            if linked is None or linked.names is not None:
                raise ArchiveRefused("a hard link leads to nothing in the archive")
            offset, own = linked.offset, entry.path
            entry = copy.copy(linked.entry)
            entry.path = own
        present = self._members.get(path)
        if entry.kind == DIRECTORY and present is not None and present.names is not None:
            present.entry = entry
            return
        self._forget(path)
        self._parent_of(path).add(posixpath.basename(path))
        names: set[str] | None = set() if entry.kind == DIRECTORY else None
        self._members[path] = _Member(entry, offset, names)

    def _real_name(self, name: str) -> str:
        """Where a member belongs: its directory through links, its own name as it is."""
        parts: list[str] = []
        for part in name.split("/"):
            if part == ".." and not parts:
                raise ArchiveRefused(f"name leads out of the archive: {name[:200]!r}")
            if part == "..":
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        if len(parts) < 2:
            return "".join(parts)
        written = "/".join(parts[:-1])
        member = self._members.get(written)
        is_plain = member is not None and member.names is not None
        parent = written if is_plain else self._resolved(written, is_to_be=True)
        if parent is None:
            raise ArchiveRefused("links lead in a circle")
        return f"{parent}/{parts[-1]}" if parent else parts[-1]

    def _parent_of(self, path: str) -> set[str]:
        """The names of the directory above, which is made where the archive names it not."""
        parent = posixpath.dirname(path)
        member = self._members.get(parent)
        if member is None or member.names is None:
            self._forget(parent)
            self._parent_of(parent).add(posixpath.basename(parent))
            member = self._members[parent] = _directory()
        assert member.names is not None
        return member.names

    def _forget(self, path: str) -> None:
        """Make room for a later member of the same name."""
        if path not in self._members:
            return
        for below, _member in list(self.walk(path)):
            del self._members[below]

    # -- finding -----------------------------------------------------------------------------

    def _resolved(self, path: str, *, is_to_be: bool = False) -> str | None:
        """A path without links; None where it leads nowhere.

        What is to be may be missing from some part on, which then stays as it is written.
        """
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del done[-1:]
                continue
            done.append(part)
            member = self._members.get("/".join(done))
            if member is None:
                if not is_to_be:
                    return None
            elif member.entry.kind == SYMLINK and member.names is None:
                links += 1
                if links > _MOST_LINKS:
                    return None
                target = os.fsdecode(member.entry.link)
                done = [] if target.startswith("/") else done[:-1]
                waiting += [each for each in reversed(target.split("/")) if each not in ("", ".")]
            elif member.names is None and waiting and not is_to_be:
                return None
        return "/".join(done)


class _Members:
    """The members at a place, as an archive."""

    def __init__(self, tree: TarTree, place: Place) -> None:
        self._tree = tree
        self._place = place
        self._offset = 0
        self._remaining = 0

    def __iter__(self) -> Iterator[TarEntry]:
        top = len(self._place.path) + 1 if self._place.path else 0
        for path, member in self._tree.walk(self._place.path):
            entry = copy.copy(member.entry)
            entry.path = os.fsencode(path[top:]) if path != self._place.path else b"."
            self._offset = member.offset
            self._remaining = entry.size if entry.kind == REGULAR else 0
            yield entry
        self._remaining = 0

    def read_content(self, most: int = _CHUNK) -> bytes:
        """The next bytes of the present entry's content. Raises: OSError."""
        content = self._tree.read(self._offset, min(most, self._remaining, _CHUNK))
        self._offset += len(content)
        self._remaining -= len(content)
        return content

    @property
    def remaining(self) -> int:
        """How many bytes of the present entry's content were not read yet."""
        return self._remaining


class _Spooled:
    """A source whose bytes are kept as they are read."""

    def __init__(self, source: Readable, spool: IO[bytes]) -> None:
        self._source = source
        self._spool = spool

    def read(self, size: int, /) -> bytes:
        """Read, and keep."""
        content = self._source.read(size)
        self._spool.write(content)
        return content


def _directory() -> _Member:
    return _Member(TarEntry(DIRECTORY, b"", b"", 0o755, 0, 0, 0, 0, 0, 0), 0, set())
