"""What a tree has that another has not: the difference as a layer's directory keeps it.

As Docker does for drivers without layers of their own, entries are compared by what stat(2)
says, not by their content: kind, permissions, owners, size, modification time, device, the target
of a link. What is gone becomes a whiteout.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator

from wherry.snapshots.tree_copies import walk

_COPY = ("cp", "-a", "--reflink=auto", "--no-target-directory", "--")


def changed_bytes(before: str, after: str) -> int:
    """Bytes of the files that are new or different; each inode once."""
    seen: set[int] = set()
    total = 0
    for path, state in _changed(before, after):
        if stat.S_ISREG(state.st_mode) and state.st_ino not in seen:
            seen.add(state.st_ino)
            total += os.lstat(f"{after}/{path}").st_size
    return total


def write_changes(before: str, after: str, changes: str) -> None:
    """Fill an empty directory with the difference, in overlayfs's form. Raises: OSError."""
    for path, state in _changed(before, after):
        place = f"{changes}/{path}"
        _make_parents(after, changes, os.path.dirname(path))
        if stat.S_ISDIR(state.st_mode):
            if not os.path.isdir(place):
                os.mkdir(place)
            _dress(f"{after}/{path}", place)
        else:
            _copy(f"{after}/{path}", place)
    for path in _gone(before, after):
        _make_parents(after, changes, os.path.dirname(path))
        os.mknod(f"{changes}/{path}", stat.S_IFCHR, os.makedev(0, 0))
    # Each new name changed the time of its directory.
    for path, state in walk(changes):
        if stat.S_ISDIR(state.st_mode):
            _dress(f"{after}/{path}", f"{changes}/{path}")
    _dress(after, changes)


def _changed(before: str, after: str) -> Iterator[tuple[str, os.stat_result]]:
    for path, state in walk(after):
        if _facts(f"{after}/{path}", state) != _facts_of(f"{before}/{path}"):
            yield path, state


def _gone(before: str, after: str) -> Iterator[str]:
    """Names that only the older tree has, without what was below them."""
    ended: set[str] = set()
    for path, state in walk(before):
        is_below = os.path.dirname(path) in ended
        now = _facts_of(f"{after}/{path}") if not is_below else None
        if stat.S_ISDIR(state.st_mode) and not (now and stat.S_ISDIR(int(str(now[0])))):
            ended.add(path)
        if now is None and not is_below:
            yield path


def _facts_of(path: str) -> tuple[object, ...] | None:
    try:
        return _facts(path, os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _facts(path: str, state: os.stat_result) -> tuple[object, ...]:
    is_directory = stat.S_ISDIR(state.st_mode)
    return (
        state.st_mode,
        state.st_uid,
        state.st_gid,
        state.st_rdev,
        0 if is_directory else state.st_size,
        # A directory's time changes with each name in it; that is told by the names.
        0 if is_directory else state.st_mtime_ns,
        os.readlink(path) if stat.S_ISLNK(state.st_mode) else "",
    )


def _make_parents(after: str, changes: str, path: str) -> None:
    """Directories above a change, looking as they do in the tree."""
    if not path or os.path.isdir(f"{changes}/{path}"):
        return
    _make_parents(after, changes, os.path.dirname(path))
    os.mkdir(f"{changes}/{path}")
    _dress(f"{after}/{path}", f"{changes}/{path}")


def _dress(source: str, target: str) -> None:
    """Owner, permissions, attributes and time of a directory."""
    state = os.lstat(source)
    os.chown(target, state.st_uid, state.st_gid)
    shutil.copystat(source, target, follow_symlinks=False)


def _copy(source: str, target: str) -> None:
    ran = subprocess.run([*_COPY, source, target], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise OSError(0, f"cp: {ran.stderr.strip()}")
