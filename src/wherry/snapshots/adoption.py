"""A snapshot's directory becomes a layer: what was packed of it need not be unpacked again.

The directory of a layer has exactly what its tar says. One that somebody wrote to may have more:
the empty places that every start mounts something on, sockets, what a driver notes for itself,
attributes that no layer carries. Where packing has left out anything, `leave_what_was_packed`
takes it away, so that packing the layer gives the same tar again.
"""

import os
import stat

from wherry.linux import xattrs
from wherry.linux.files import open_in_root
from wherry.snapshots.diff import is_empty, may_stay
from wherry.snapshots.layer_names import MOUNT_POINTS, is_bookkeeping

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def leave_what_was_packed(root: int) -> int:
    """Take away what `diff.snapshot_tar` leaves out; the bytes of the files that are left.

    Nobody may write to the tree any more. Raises: OSError.
    """
    seen: set[int] = set()
    size_bytes, waiting = 0, [b""]
    while waiting:
        path = waiting.pop()
        directory = open_in_root(root, path or b".", _DIRECTORY)
        try:
            before = os.fstat(directory)
            _drop_attributes(directory)
            is_changed = False
            for name in map(os.fsencode, os.listdir(directory)):
                full = path + b"/" + name if path else name
                state = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if _is_left_out(directory, name, full, state):
                    _remove(directory, name, state)
                    is_changed = True
                elif stat.S_ISDIR(state.st_mode):
                    waiting.append(full)
                else:
                    _drop_attributes_at(directory, name)
                    if stat.S_ISREG(state.st_mode) and state.st_ino not in seen:
                        seen.add(state.st_ino)
                        size_bytes += state.st_size
            if is_changed:
                os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))
        finally:
            os.close(directory)
    return size_bytes


def _is_left_out(directory: int, name: bytes, path: bytes, state: os.stat_result) -> bool:
    if is_bookkeeping(name) or stat.S_ISSOCK(state.st_mode):
        return True
    return path in MOUNT_POINTS and is_empty(directory, name, state)


def _remove(directory: int, name: bytes, state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        os.rmdir(name, dir_fd=directory)
    else:
        os.unlink(name, dir_fd=directory)


def _drop_attributes(descriptor: int) -> None:
    for attribute in xattrs.list_of(descriptor):
        if not may_stay(attribute):
            os.removexattr(descriptor, attribute)


def _drop_attributes_at(directory: int, name: bytes) -> None:
    for attribute in xattrs.list_at(directory, name):
        if not may_stay(attribute):
            os.removexattr(xattrs.path_at(directory, name), attribute, follow_symlinks=False)
