"""What one tree has that another has not, by descriptors: either may change meanwhile.

As `docker diff` does for drivers without layers, entries are compared by what stat(2) says, not
by their content: kind, permissions, owners, size, modification time, device, a link's target.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wherry.linux.files import open_without_links
from wherry.model.files import ADDED, CHANGED, DELETED, Change

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def changes_between(before: int, after: int) -> Sequence[Change]:
    """What has changed from one directory to another, in order of the names. Raises: OSError."""
    changes: list[Change] = []
    waiting = [""]
    while waiting:
        path = waiting.pop()
        with _opened(before, path) as old, _opened(after, path) as new:
            for name in {*_names(old), *_names(new)}:
                place = f"{path}/{name}"
                was, is_now = _state(old, name), _state(new, name)
                change = _kind(was, is_now)
                if change is not None:
                    changes.append(Change(place, change))
                # What is in a directory that is gone is gone with it.
                if is_now is not None and stat.S_ISDIR(is_now.mode):
                    waiting.append(place)
    return sorted(changes, key=lambda each: each.path)


class _Facts:
    """What is compared of one entry."""

    def __init__(self, directory: int, name: str) -> None:
        state = os.stat(name, dir_fd=directory, follow_symlinks=False)
        self.mode = state.st_mode
        is_directory = stat.S_ISDIR(state.st_mode)
        self.all = (
            state.st_mode,
            state.st_uid,
            state.st_gid,
            state.st_rdev,
            # A directory's size is its file system's business; its time tells of its names.
            0 if is_directory else state.st_size,
            state.st_mtime_ns,
            os.readlink(name, dir_fd=directory) if stat.S_ISLNK(state.st_mode) else "",
        )


def _kind(was: _Facts | None, is_now: _Facts | None) -> int | None:
    if was is None:
        return None if is_now is None else ADDED
    if is_now is None:
        return DELETED
    return None if was.all == is_now.all else CHANGED


def _state(directory: int | None, name: str) -> _Facts | None:
    try:
        return None if directory is None else _Facts(directory, name)
    except OSError:
        return None  # it vanished, or became something else


def _names(directory: int | None) -> Sequence[str]:
    return () if directory is None else os.listdir(directory)


@contextmanager
def _opened(root: int, path: str) -> Iterator[int | None]:
    """A directory of a tree; None where the tree has none of this name."""
    try:
        opened = open_without_links(root, f".{path}", _DIRECTORY)
    except OSError:
        yield None
        return
    try:
        yield opened
    finally:
        os.close(opened)
