"""Files of results, as a client that steers its build may look at them.

Names are resolved as a process in the result would: its root is `/`, and no link leads out.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

from wherry.linux.files import open_in_root
from wherry.model.errors import InvalidValue
from wherry.wire.buildkit.files import Stat, stat_of

LARGEST_READ = 8 << 20
"""Bytes of one answer; a client reads more in several."""


def read_file(root: int, path: str, offset: int, length: int) -> bytes:
    """A part of a file; all that is left for a length of zero. Raises: InvalidValue."""
    with _opened(root, "open", path, os.O_RDONLY | os.O_NONBLOCK) as file:
        state = os.fstat(file)
        if not stat.S_ISREG(state.st_mode):
            raise InvalidValue(f"read {path}: is no regular file")
        wanted = length or max(state.st_size - offset, 0)
        if wanted > LARGEST_READ or offset < 0 or length < 0:
            raise InvalidValue(f"read {path}: {wanted} bytes from {offset} are no part of it")
        return os.pread(file, wanted, offset)


def stat_file(root: int, path: str) -> Stat:
    """What is at a path; a link at its end is not followed. Raises: InvalidValue."""
    with _opened(root, "stat", path, os.O_PATH | os.O_NOFOLLOW) as file:
        state = os.fstat(file)
        link = os.readlink("", dir_fd=file) if stat.S_ISLNK(state.st_mode) else ""
    return stat_of(os.path.basename(path.rstrip("/")), state, link)


def read_directory(root: int, path: str, pattern: str) -> list[Stat]:
    """What is in a directory, by name. Raises: InvalidValue."""
    with _opened(root, "open", path, os.O_RDONLY | os.O_DIRECTORY) as directory:
        names = sorted(os.listdir(directory))
    shown = [each for each in names if not pattern or fnmatchcase(each, pattern)]
    return [stat_file(root, f"{path}/{each}") for each in shown]


@contextmanager
def _opened(root: int, verb: str, path: str, flags: int) -> Iterator[int]:
    try:
        descriptor = open_in_root(root, path or "/", flags)
    except (OSError, ValueError) as problem:
        code = problem.errno if isinstance(problem, OSError) else errno.EINVAL
        raise InvalidValue(f"{verb} {path}: {os.strerror(code or 0).lower()}") from problem
    try:
        yield descriptor
    finally:
        os.close(descriptor)
