"""Directories of this machine as a build sees them: which files are told of, in which order.

A build names paths and wants what they stand for, or everything; and it names patterns of what it
does not want. Only what is named is looked at: a directory of a million files costs nothing when
one of them is copied.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from wherry.kit.path_patterns import Ignore, segment_pattern
from wherry.kit.values import dataclass, field
from wherry.wire.buildkit.files import Stat, stat_of

_CAPABILITIES = "security.capability"
_MOST_LINKS = 255


class Found(NamedTuple):
    """A file that is told of, and where its content is."""

    stat: Stat
    place: str


class Directory(Protocol):
    """What a build knows by a name, and asks for in parts."""

    def found(self, paths: Sequence[str], ignore: Ignore) -> Iterator[Found]:
        """What is at some paths, or all for none, each directory before what is in it.

        Raises: OSError; BadPattern.
        """
        ...

    def opened(self, place: str) -> BinaryIO:
        """The content of a file that was told of. Raises: OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Texts:
    """A directory that is none: a few files whose contents are in memory."""

    contents: Mapping[str, bytes]

    def found(self, paths: Sequence[str], ignore: Ignore) -> Iterator[Found]:
        """All of them, whatever is asked for."""
        for name, content in sorted(self.contents.items()):
            yield Found(Stat(path=name, mode=0o644, size=len(content)), name)

    def opened(self, place: str) -> BinaryIO:
        """A file's content."""
        from io import BytesIO

        return BytesIO(self.contents[place])


@dataclass(slots=True)
class Wanted:
    """Of one directory: everything, or some names."""

    is_all: bool = False
    names: dict[str, "Wanted"] = field(default_factory=dict)

    def at(self, path: str) -> "Wanted":
        """That of a path below, added where it is missing."""
        here = self
        for name in path.split("/") if path else ():
            here = here.names.setdefault(name, Wanted())
        return here


class Folder:
    """A directory."""

    def __init__(self, path: str) -> None:
        self._top = os.path.realpath(path)

    def found(self, paths: Sequence[str], ignore: Ignore) -> Iterator[Found]:
        """As `Directory` has it; sockets are left out, as they are of a context that is a tar."""
        names: dict[tuple[int, int], str] = {}
        told: set[str] = set()
        for path, state in self._walk(self.wanted(paths), ignore):
            if stat.S_ISSOCK(state.st_mode) or ignore.excludes(path):
                continue
            # A directory may be left out itself where something below it is not.
            for above in reversed([*_untold(path, told)]):
                told.add(above)
                yield self._found(above, os.lstat(f"{self._top}/{above}"), names)
            if stat.S_ISDIR(state.st_mode):
                told.add(path)
            yield self._found(path, state, names)

    def opened(self, place: str) -> BinaryIO:
        """A file's content; a link that has taken its place meanwhile is not followed."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return open(os.open(f"{self._top}/{place}", flags), "rb", buffering=0)

    def _found(self, path: str, state: os.stat_result, names: dict[tuple[int, int], str]) -> Found:
        place, link = f"{self._top}/{path}", ""
        if stat.S_ISLNK(state.st_mode):
            link = os.readlink(place)
        elif stat.S_ISREG(state.st_mode) and state.st_nlink > 1:
            first = names.setdefault((state.st_dev, state.st_ino), path)
            link = first if first != path else ""
        found = stat_of(path, state, link)
        found.uid = found.gid = 0  # Who owns a file here means nothing there.
        if stat.S_ISREG(state.st_mode) and (held := _capabilities(place)):
            found.xattrs = {_CAPABILITIES: held}
        return Found(found, path)

    def _walk(self, top: Wanted, ignore: Ignore) -> Iterator[tuple[str, os.stat_result]]:
        """What is wanted below the top, in the order that BuildKit insists on."""
        waiting = self._inside("", top)
        while waiting:
            path, wanted = waiting.pop()
            try:
                state = os.lstat(f"{self._top}/{path}")
            except FileNotFoundError:
                continue
            yield path, state
            if stat.S_ISDIR(state.st_mode) and not ignore.prunes(path):
                waiting += self._inside(path, wanted)

    def _inside(self, path: str, wanted: Wanted) -> list[tuple[str, Wanted]]:
        """What is wanted in a directory, the last name first."""
        prefix = f"{path}/" if path else ""
        if wanted.is_all:
            names = os.listdir(f"{self._top}/{path}")
            return [(prefix + each, wanted) for each in sorted(names, reverse=True)]
        return [(prefix + each, wanted.names[each]) for each in sorted(wanted.names, reverse=True)]

    # -- paths -------------------------------------------------------------------------------

    def wanted(self, paths: Sequence[str]) -> Wanted:
        """What paths stand for: with wildcards, and with what the links on their way lead to."""
        top = Wanted(is_all=not paths)
        for path in paths:
            self._want(top, [], [each for each in path.split("/") if each not in ("", ".")], 0)
        return top

    def _want(self, top: Wanted, passed: list[str], left: list[str], links: int) -> None:
        """Add what is at `passed`/`left`; the first part is free of links."""
        while left:
            name, left = left[0], left[1:]
            here = "/".join(passed)
            if name == "..":
                top.at(here)  # The way leads through it, there as here.
                passed = passed[:-1]
            elif name == "**":
                break
            elif isinstance(pattern := segment_pattern(name), str):
                found = "/".join([*passed, name])
                target = _target(f"{self._top}/{found}")
                if target is None:
                    passed = [*passed, name]
                    continue
                top.at(found)
                if links == _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), found)
                links += 1
                passed = [] if target.startswith("/") else passed
                left = [*(each for each in target.split("/") if each not in ("", ".")), *left]
            else:
                for each in _names(f"{self._top}/{here}"):
                    if pattern.fullmatch(each):
                        self._want(top, passed, [each, *left], links)
                return
        top.at("/".join(passed)).is_all = True


def _untold(path: str, told: Collection[str]) -> Iterator[str]:
    """The directories that a path is in, from the nearest up to one that was told of."""
    above = posixpath.dirname(path)
    while above and above not in told:
        yield above
        above = posixpath.dirname(above)


def _names(directory: str) -> Sequence[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _target(path: str) -> str | None:
    """Where a symbolic link leads; None for what is none, or is not there."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _capabilities(path: str) -> bytes:
    try:
        return os.getxattr(path, _CAPABILITIES, follow_symlinks=False)
    except OSError:
        return b""
