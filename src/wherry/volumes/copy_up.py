"""Copying a tree from one directory to another by descriptors.

The source was written by whoever made the image: links are copied, never followed, and each
name is opened in a directory that is open already. Owners, modes, times, attributes, holes and
hard links come along.
"""

import os
import stat

from wherry.linux import xattrs
from wherry.operations.plan import Evidence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 24


def copy_directory(source: int, target: int) -> Evidence:
    """Copy all that a directory has, and how itself looks, into another one. Raises: OSError."""
    return _Copying(source, target).run()


class _Copying:
    """One copy; its counts are the evidence."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._links: dict[tuple[int, int], str] = {}
        self._files = self._bytes = 0

    def run(self) -> Evidence:
        """Breadth first, so that two descriptors are enough for any depth."""
        waiting = ["."]
        finished: list[str] = []
        while waiting:
            path = waiting.pop()
            finished.append(path)
            waiting += self._copy_entries(path)
        # Times last: each new entry would change its directory's again.
        for path in reversed(finished):
            self._describe_directory(path)
        return {"files": self._files, "bytes": self._bytes}

    def _copy_entries(self, path: str) -> list[str]:
        source = os.open(path, _DIRECTORY, dir_fd=self._source)
        try:
            target = os.open(path, _DIRECTORY, dir_fd=self._target)
            try:
                return [
                    f"{path}/{name}"
                    for name in os.listdir(source)
                    if self._copy(source, target, name, f"{path}/{name}")
                ]
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _copy(self, source: int, target: int, name: str, path: str) -> bool:
        """Copy one entry; whether it is a directory, whose own entries come later."""
        state = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(state.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            return True
        if stat.S_ISSOCK(state.st_mode):
            return False  # nobody listens on it
        self._files += 1
        first = self._links.setdefault((state.st_dev, state.st_ino), path)
        if first != path:
            os.link(first, name, src_dir_fd=self._target, dst_dir_fd=target, follow_symlinks=False)
        elif stat.S_ISREG(state.st_mode):
            self._copy_file(source, target, name)
        elif stat.S_ISLNK(state.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)
            _copy_times(state, target, name)
        else:
            os.mknod(name, stat.S_IFMT(state.st_mode) | 0o600, state.st_rdev, dir_fd=target)
            os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)
            os.chmod(xattrs.path_at(target, name), stat.S_IMODE(state.st_mode))
            _copy_times(state, target, name)
        return False

    def _copy_file(self, source: int, target: int, name: str) -> None:
        read = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            written = os.open(name, flags, 0o600, dir_fd=target)
            try:
                self._bytes += _copy_content(read, written)
                _describe(read, written)
            finally:
                os.close(written)
        finally:
            os.close(read)

    def _describe_directory(self, path: str) -> None:
        source = os.open(path, _DIRECTORY, dir_fd=self._source)
        try:
            target = os.open(path, _DIRECTORY, dir_fd=self._target)
            try:
                _describe(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)


def _copy_content(source: int, target: int) -> int:
    """Data as data and holes as holes; how many bytes long the file is."""
    size = os.fstat(source).st_size
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: only a hole is left (lseek(2))
        end = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(target, start, os.SEEK_SET)
        position = start
        while position < end:
            sent = os.sendfile(target, source, position, min(_CHUNK, end - position))
            if not sent:
                break
            position += sent
    os.ftruncate(target, size)
    return size


def _describe(source: int, target: int) -> None:
    """Owner, mode, attributes and times; the order matters: chown(2) takes setuid away."""
    state = os.fstat(source)
    os.fchown(target, state.st_uid, state.st_gid)
    os.fchmod(target, stat.S_IMODE(state.st_mode))
    for attribute in xattrs.list_of(source):
        if not attribute.startswith("trusted."):
            value = xattrs.get(source, attribute)
            if value is not None:
                os.setxattr(target, attribute, value)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))


def _copy_times(state: os.stat_result, directory: int, name: str) -> None:
    os.utime(
        name, ns=(state.st_atime_ns, state.st_mtime_ns), dir_fd=directory, follow_symlinks=False
    )
