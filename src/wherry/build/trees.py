"""Files that COPY and ADD take: found below a descriptor, named by content, written as a tar."""

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from wherry.kit.path_patterns import BadPattern, Ignore, matches_path, segment_pattern
from wherry.linux.files import open_in_root
from wherry.model.errors import InvalidValue
from wherry.snapshots import TarEntry, TarReader

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Tree:
    """Where files come from: a root that is open, and what is not seen of it."""

    root: int
    ignore: Ignore


def found(tree: Tree, source: str) -> list[str]:
    """The paths that a source stands for, relative to the root. Raises: InvalidValue."""
    clean = posixpath.normpath("/" + source).lstrip("/")
    if not _WILDCARDS & set(clean):
        paths = [clean] if _is_there(tree, clean) else []
    else:
        paths = sorted(_matching(tree, clean.split("/")))
    if not paths:
        raise InvalidValue(
            "COPY failed: file not found in build context or excluded by .dockerignore: "
            f"stat {clean}: file does not exist"
        )
    return paths


def _is_there(tree: Tree, path: str) -> bool:
    if path and tree.ignore.excludes(path) and not _is_directory(tree, path):
        return False
    try:
        os.close(open_in_root(tree.root, path or ".", os.O_PATH))
    except OSError:
        return False
    return True


def _is_directory(tree: Tree, path: str) -> bool:
    try:
        os.close(open_in_root(tree.root, path, os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def _matching(tree: Tree, segments: list[str]) -> list[str]:
    paths = [""]
    for index, segment in enumerate(segments):
        try:
            pattern = segment_pattern(segment)
        except BadPattern as problem:
            raise InvalidValue(str(problem)) from None
        is_last = index == len(segments) - 1
        following = []
        for path in paths:
            for name in _names(tree, path, segment, pattern):
                full = f"{path}/{name}" if path else name
                if is_last or _is_directory(tree, full):
                    following.append(full)
        paths = following
    return [path for path in paths if not tree.ignore.excludes(path)]


def _names(tree: Tree, path: str, segment: str, pattern: "re.Pattern[str] | str") -> list[str]:
    if isinstance(pattern, str):
        return [segment] if _is_there(tree, f"{path}/{segment}" if path else segment) else []
    directory = open_in_root(tree.root, path or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return [name for name in os.listdir(directory) if pattern.fullmatch(name)]
    finally:
        os.close(directory)


def content_digest(tree: Tree, path: str, excluded: tuple[str, ...]) -> str:
    """A name for what is under a path: names, kinds, permissions, owners and content; no times.

    Raises: OSError, InvalidValue.
    """
    digest = hashlib.sha256()
    top = open_in_root(tree.root, path or ".", os.O_PATH)
    try:
        real = os.readlink(f"/proc/self/fd/{top}")
        base = os.readlink(f"/proc/self/fd/{tree.root}")
        state = os.fstat(top)
    finally:
        os.close(top)
    inside = posixpath.relpath(real, base) if real.startswith(base) else path
    waiting = [(inside if inside != "." else "", "")]
    if not stat.S_ISDIR(state.st_mode):
        _add_file(digest, tree, path, "", state)
        return digest.hexdigest()
    while waiting:
        place, name = waiting.pop()
        directory = open_in_root(tree.root, place or ".", _DIRECTORY)
        try:
            state = os.fstat(directory)
            digest.update(f"d {name!r} {state.st_mode} {state.st_uid} {state.st_gid}\n".encode())
            for each in sorted(os.listdir(directory), reverse=True):
                full = f"{place}/{each}" if place else each
                shown = f"{name}/{each}" if name else each
                entry = os.stat(each, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISDIR(entry.st_mode):
                    waiting.append((full, shown))
                elif not is_left_out(tree, full, shown, excluded):
                    _add_file(digest, tree, full, shown, entry)
        finally:
            os.close(directory)
    return digest.hexdigest()


def is_left_out(tree: Tree, path: str, shown: str, excluded: tuple[str, ...]) -> bool:
    """Whether `.dockerignore` or `--exclude` leaves a path out. Raises: InvalidValue."""
    try:
        return tree.ignore.excludes(path) or any(
            matches_path(pattern, shown) or matches_path(pattern, posixpath.basename(shown))
            for pattern in excluded
        )
    except BadPattern as problem:
        raise InvalidValue(str(problem)) from None


def _add_file(
    digest: "hashlib._Hash", tree: Tree, path: str, shown: str, state: os.stat_result
) -> None:
    digest.update(f"f {shown!r} {state.st_mode} {state.st_uid} {state.st_gid}\n".encode())
    if stat.S_ISLNK(state.st_mode):
        parent = open_in_root(tree.root, posixpath.dirname(path) or ".", os.O_PATH)
        try:
            digest.update(os.fsencode(os.readlink(posixpath.basename(path), dir_fd=parent)))
        finally:
            os.close(parent)
    elif stat.S_ISREG(state.st_mode):
        file = open_in_root(tree.root, path, os.O_RDONLY)
        with open(file, "rb", buffering=0) as content:
            while piece := content.read(_CHUNK):
                digest.update(piece)


class CopiedTar(TarReader):
    """A tar whose entries are changed on their way: left out, or given other permissions."""

    def __init__(
        self,
        source: "object",
        *,
        tree: Tree,
        origin: str,
        prefix: str,
        excluded: tuple[str, ...] = (),
        mode: int | None = None,
    ) -> None:
        """`origin`: where the tar's root is in the tree; `prefix`: what names begin with."""
        super().__init__(source)  # type: ignore[arg-type]
        self._tree = tree
        self._origin = origin
        self._prefix = prefix
        self._excluded = excluded
        self._mode = mode

    def __iter__(self) -> Iterator[TarEntry]:
        for entry in super().__iter__():
            name = os.fsdecode(entry.path).strip("/")
            shown = name.removeprefix(self._prefix).strip("/") if self._prefix else name
            full = posixpath.join(self._origin, shown) if shown not in ("", ".") else self._origin
            if shown not in ("", ".") and self._is_hidden(full, shown):
                continue
            if self._mode is not None and entry.kind != b"2":
                entry.mode = self._mode
            yield entry

    def _is_hidden(self, full: str, shown: str) -> bool:
        if not self._tree.ignore and not self._excluded:
            return False
        return is_left_out(self._tree, full, shown, self._excluded)
