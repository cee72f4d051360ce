"""Files that COPY and ADD take: found by name, told apart by content, read as an archive.

A *tree* is where they are: a directory that is open (`directory_trees`), or a tar that was never
unpacked (`tar_trees`). Links lead where they would lead if the tree's root were all there is. A
*view* is a tree seen through patterns: what `.dockerignore` leaves out is not there.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from wherry.builder.digests import digest_of
from wherry.builder.sources.permissions import Permissions
from wherry.kit.path_patterns import BadPattern, Ignore, segment_pattern
from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue
from wherry.model.errors.builds import NotInContext
from wherry.snapshots import DIRECTORY, HARD_LINK, SYMLINK, Archive, TarEntry

_WILDCARDS = frozenset("*?[")
_NOTHING = Ignore(())


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to."""

    path: str
    """Where it really is, through no link; empty for the root."""
    is_directory: bool


class Tree(Protocol):
    """Files below a root; every method may block, and be called from any thread."""

    def lookup(self, path: str) -> Place | None:
        """What a path leads to, links followed as if the root were `/`; None for nothing."""
        ...

    def names(self, place: Place) -> Sequence[str]:
        """What a directory has."""
        ...

    def entries(self, place: Place) -> Archive:
        """What is at a place: itself as `.`, then all that is in it; owners as they are."""
        ...


class View:
    """A tree without what patterns leave out."""

    def __init__(self, tree: Tree, ignore: Ignore = _NOTHING) -> None:
        self._tree = tree
        self._ignore = ignore

    @property
    def tree(self) -> Tree:
        """The tree with everything in it."""
        return self._tree

    def found(self, source: str, *, goes_deep: bool = False) -> list[str]:
        """The paths that a source stands for, relative to the root. Raises: InvalidValue.

        `goes_deep`: `**` is any number of directories, as it is with `--parents`.
        """
        clean = posixpath.normpath("/" + source).lstrip("/")
        is_pattern = bool(_WILDCARDS & set(clean))
        if not is_pattern:
            paths = [clean] if self.shows(clean) else []
        else:
            paths = sorted(set(self._matching(clean.split("/"), goes_deep=goes_deep)))
        if not paths:
            raise NotInContext(clean, source, is_pattern)
        return paths

    def place(self, path: str) -> Place:
        """What a path leads to that `found` gave. Raises: InvalidValue, when it went away."""
        place = self._tree.lookup(path)
        if place is None:
            raise InvalidValue(f"{path}: no such file or directory")
        return place

    def entries(self, place: Place, excluded: Sequence[str] = ()) -> Archive:
        """What is at a place and is seen, and not left out by `--exclude` either."""
        if not place.is_directory or not (self._ignore or excluded):
            return self._tree.entries(place)
        return _Selection(self._tree, place, self._ignore, excluded)

    def digests(self, path: str, excluded: Sequence[str] = ()) -> dict[str, str]:
        """A name for each thing at a path: kind, permissions, owner, content; no times.

        Raises: OSError, InvalidValue.
        """
        archive = self.entries(self.place(path), excluded)
        found = {}
        for entry in archive:
            said = (entry.kind, entry.mode, entry.uid, entry.gid, entry.link)
            digest = hashlib.sha256(
                repr((*said, sorted(entry.xattrs.items()), entry.size)).encode()
            )
            while archive.remaining:
                digest.update(archive.read_content())
            name = entry.path.decode(errors="surrogateescape")
            found[posixpath.normpath(posixpath.join(path, name))] = digest.hexdigest()
        return found

    def digest(self, path: str) -> str:
        """A name for all that is at a path. Raises: as `digests`."""
        return digest_of(*(word for each in self.digests(path).items() for word in each))

    def shows(self, path: str) -> bool:
        """Whether a path leads to something that is seen."""
        place = self._tree.lookup(path)
        if place is None:
            return False
        # A directory that is left out may have something in it that is not.
        return place.is_directory or not path or not self._ignore.excludes(path)

    def _matching(self, segments: list[str], *, goes_deep: bool) -> list[str]:
        paths = [""]
        for index, segment in enumerate(segments):
            if goes_deep and segment == "**":
                paths = [each for path in paths for each in self._directories(path)]
                continue
            try:
                pattern = segment_pattern(segment)
            except BadPattern as problem:
                raise InvalidValue(str(problem)) from None
            is_last = index == len(segments) - 1
            paths = [
                full
                for path in paths
                for full in self._below(path, segment, pattern)
                if is_last or self._is_directory(full)
            ]
        return [path for path in paths if not self._ignore.excludes(path)]

    def _directories(self, top: str) -> Iterator[str]:
        """A directory, and all that are below it through no link."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            place = self._tree.lookup(path)
            if place is None or not place.is_directory or (path != top and place.path != path):
                continue
            yield path
            waiting += [posixpath.join(path, name) for name in self._tree.names(place)]

    def _below(self, path: str, segment: str, pattern: "re.Pattern[str] | str") -> list[str]:
        prefix = f"{path}/" if path else ""
        if isinstance(pattern, str):
            return [prefix + segment] if self.shows(prefix + segment) else []
        place = self._tree.lookup(path)
        names = self._tree.names(place) if place is not None and place.is_directory else ()
        return [prefix + name for name in names if pattern.fullmatch(name)]

    def _is_directory(self, path: str) -> bool:
        place = self._tree.lookup(path)
        return place is not None and place.is_directory


class PassedOn:
    """An archive whose entries are changed on their way; their content is as it was."""

    def __init__(self, archive: Archive) -> None:
        self._present = archive

    def read_content(self, most: int = 1 << 20) -> "memoryview | bytes":
        """The next bytes of the present entry's content."""
        return self._present.read_content(most)

    @property
    def remaining(self) -> int:
        """How many bytes of the present entry's content were not read yet."""
        return self._present.remaining


class _Selection(PassedOn):
    """The entries of a directory that patterns leave in."""

    def __init__(self, tree: Tree, place: Place, ignore: Ignore, excluded: Sequence[str]) -> None:
        super().__init__(tree.entries(place))
        self._tree = tree
        self._place = place
        self._ignore = ignore
        try:
            self._excluded = Ignore([posixpath.normpath(each) for each in excluded])
        except BadPattern as problem:
            raise InvalidValue(str(problem)) from None
        self._whole = self._present

    def __iter__(self) -> Iterator[TarEntry]:
        taken: set[bytes] = set()
        for entry in self._whole:
            if self._is_left_out(entry.path):
                continue
            taken.add(entry.path)
            if entry.kind == HARD_LINK and entry.link not in taken:
                yield from self._apart(entry.path)
            else:
                yield entry

    def _apart(self, path: bytes) -> Iterator[TarEntry]:
        """A file whose first name is left out."""
        full = posixpath.join(self._place.path, path.decode(errors="surrogateescape"))
        self._present = self._tree.entries(Place(full, is_directory=False))
        for entry in self._present:
            entry.path = path
            yield entry
        self._present = self._whole

    def _is_left_out(self, path: bytes) -> bool:
        if path == b".":
            return False
        shown = path.decode(errors="surrogateescape")
        full = posixpath.join(self._place.path, shown)
        return self._ignore.excludes(full) or self._excluded.excludes(shown)


class Renamed(PassedOn):
    """Entries on their way to a target: under another name, with other permissions."""

    def __init__(
        self, archive: Archive, *, name: str = "", permissions: Permissions | None = None
    ) -> None:
        """`name` is that of a single file; empty for a directory, whose parts keep theirs."""
        super().__init__(archive)
        self._name = name.encode(errors="surrogateescape")
        self._permissions = permissions

    def __iter__(self) -> Iterator[TarEntry]:
        for entry in self._present:
            if self._name:
                entry.path = self._name
            if self._permissions is not None and entry.kind != SYMLINK:
                is_directory = entry.kind == DIRECTORY
                entry.mode = self._permissions.of(entry.mode, is_directory=is_directory)
            yield entry
