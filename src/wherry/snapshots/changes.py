"""What a snapshot changed of the layers below it, read off its upper directory.

Only the upper directory is walked, so the time it takes is that of the changes, not of the
image. The names below are looked at through descriptors of the layers' directories.
"""

import os
import stat
from collections.abc import Iterator, Sequence

from wherry.kit.values import dataclass
from wherry.linux import xattrs
from wherry.linux.files import open_in_root
from wherry.model.files import ADDED, CHANGED, DELETED, Change
from wherry.snapshots.diff import is_empty
from wherry.snapshots.layer_names import MOUNT_POINT_PARENTS, MOUNT_POINTS, is_bookkeeping
from wherry.snapshots.layer_tree import is_whiteout, state_of

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def changes_of(upper: int, lowers: Sequence[int]) -> list[Change]:
    """What an upper directory changes of the lower ones (topmost first), in order of the names.

    It may be in use meanwhile: what vanishes is left out. Raises: OSError.
    """
    return list(_below(upper, _Lowers(tuple(lowers)), b""))


@dataclass(frozen=True, slots=True)
class _Lowers:
    """One directory of the layers below, as far as it is there: a descriptor of each."""

    directories: tuple[int, ...]

    def state_of(self, name: bytes) -> os.stat_result | None:
        """What the layers have under a name; None for nothing."""
        for directory in self.directories:
            state = state_of(directory, name)
            if state is not None:
                return None if is_whiteout(state) else state
        return None

    def names(self) -> set[bytes]:
        """Every name that is there."""
        found = {os.fsencode(name) for each in self.directories for name in os.listdir(each)}
        return {name for name in found if self.state_of(name) is not None}

    def opened(self, name: bytes) -> "_Lowers":
        """The directory of a name; `close` it."""
        found: list[int] = []
        for directory in self.directories:
            state = state_of(directory, name)
            if state is None:
                continue
            if not stat.S_ISDIR(state.st_mode):
                break
            opened = open_in_root(directory, name, _DIRECTORY)
            found.append(opened)
            if xattrs.get(opened, xattrs.OVERLAY_OPAQUE) == b"y":
                break
        return _Lowers(tuple(found))

    def close(self) -> None:
        """Let go of what `opened` opened."""
        for directory in self.directories:
            os.close(directory)


def _below(upper: int, lowers: _Lowers, path: bytes) -> Iterator[Change]:
    for name in sorted(os.fsencode(each) for each in os.listdir(upper)):
        full = path + b"/" + name if path else name
        state = state_of(upper, name)
        if state is None or is_bookkeeping(name):
            continue
        if full in MOUNT_POINTS and _is_left_empty(upper, name, state):
            continue
        yield from _of_entry(upper, lowers, name, full, state)


def _of_entry(
    upper: int, lowers: _Lowers, name: bytes, path: bytes, state: os.stat_result
) -> Iterator[Change]:
    before = lowers.state_of(name)
    if is_whiteout(state):
        if before is not None:
            yield _change(path, DELETED)
        return
    if not stat.S_ISDIR(state.st_mode):
        yield _change(path, ADDED if before is None else CHANGED)
        return
    inside = list(_of_directory(upper, lowers, name, path))
    if before is None:
        if inside or path not in MOUNT_POINT_PARENTS:
            yield _change(path, ADDED)
    elif inside or (path not in MOUNT_POINT_PARENTS and not _looks_alike(before, state)):
        yield _change(path, CHANGED)
    yield from inside


def _of_directory(upper: int, lowers: _Lowers, name: bytes, path: bytes) -> Iterator[Change]:
    try:
        directory = os.open(name, _DIRECTORY | os.O_CLOEXEC, dir_fd=upper)
    except FileNotFoundError:
        return
    below = lowers.opened(name)
    try:
        if xattrs.get(directory, xattrs.OVERLAY_OPAQUE) == b"y":
            here = {os.fsencode(each) for each in os.listdir(directory)}
            gone = [_change(path + b"/" + each, DELETED) for each in below.names() - here]
            new = _below(directory, below, path)
            yield from sorted([*gone, *new], key=lambda change: change.path)
        else:
            yield from _below(directory, below, path)
    finally:
        below.close()
        os.close(directory)


def _is_left_empty(directory: int, name: bytes, state: os.stat_result) -> bool:
    try:
        return is_empty(directory, name, state)
    except FileNotFoundError:
        return True


def _looks_alike(before: os.stat_result, now: os.stat_result) -> bool:
    """Whether a directory was only copied up, because of something in it."""
    return (before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns) == (
        now.st_mode,
        now.st_uid,
        now.st_gid,
        now.st_mtime_ns,
    )


def _change(path: bytes, kind: int) -> Change:
    return Change("/" + os.fsdecode(path), kind)
