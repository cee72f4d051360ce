"""Facts about trees on the host: what their files weigh, and on which file system they are."""

import os
import stat
from collections.abc import Iterator

from wherry.linux import mountinfo


def file_sizes(path: str) -> Iterator[int]:
    """The bytes of each file in a tree that may change meanwhile; each inode once."""
    seen: set[int] = set()
    waiting = [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(state.st_mode):
                        waiting.append(entry.path)
                    elif state.st_nlink == 1 or state.st_ino not in seen:
                        seen.add(state.st_ino)
                        yield state.st_size
        except FileNotFoundError:
            continue  # removed by its container meanwhile


def filesystem_type(path: str) -> str:
    """The file system of a directory in Docker's words; the ext family has one name there."""
    # By its place and not by its number: each subvolume of btrfs has a number of its own.
    mounts, place = mountinfo.read(), os.path.realpath(path)
    while (mount := mountinfo.topmost(mounts, place)) is None:
        if place == "/":
            return "unknown"
        place = os.path.dirname(place)
    return "extfs" if mount.kind in ("ext2", "ext3", "ext4") else mount.kind
