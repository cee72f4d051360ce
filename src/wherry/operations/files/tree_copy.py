"""Copying a tree from one directory to another by descriptors.

The source belongs to somebody else, an image or a container that may be changing it this very
moment: links are copied, never followed, and no name on the way to a file may be one. What
vanishes before it is read is left out. Owners, modes, times, attributes, holes and hard links
come along; where the file system can, files share their blocks with the originals until either
is written to.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wherry.linux import xattrs
from wherry.linux.files import clone_content, open_without_links
from wherry.operations.plan import Evidence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_CHUNK = 1 << 24
_GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL))
"""What a name says that was something else a moment ago."""


def copy_directory(source: int, target: int) -> Evidence:
    """Copy all that a directory has, and how itself looks, into another one.

    The evidence counts files and their bytes, and of those the bytes that are shared.
    Raises: OSError.
    """
    return _Copying(source, target).run()


class _Copying:
    """One copy; its counts are the evidence."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._links: dict[tuple[int, int], str] = {}
        self._files = self._bytes = self._shared = 0

    def run(self) -> Evidence:
        """Breadth first, so that two descriptors are enough for any depth."""
        waiting = ["."]
        finished: list[str] = []
        while waiting:
            path = waiting.pop()
            finished.append(path)
            with suppress(FileNotFoundError), self._opened(path) as pair:
                waiting += self._copy_entries(*pair, path)
        # Times last: each new entry would change its directory's again.
        for path in reversed(finished):
            with suppress(FileNotFoundError), self._opened(path) as pair:
                _describe(*pair)
        return {"files": self._files, "bytes": self._bytes, "shared": self._shared}

    def _copy_entries(self, source: int, target: int, path: str) -> list[str]:
        return [
            f"{path}/{name}"
            for name in os.listdir(source)
            if self._copy(source, target, name, f"{path}/{name}")
        ]

    def _copy(self, source: int, target: int, name: str, path: str) -> bool:
        """Copy one entry; whether it is a directory, whose own entries come later."""
        try:
            state = os.stat(name, dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(state.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            return True
        if stat.S_ISSOCK(state.st_mode):
            return False  # nobody listens on it
        first = self._links.setdefault((state.st_dev, state.st_ino), path)
        if first != path:
            os.link(first, name, src_dir_fd=self._target, dst_dir_fd=target, follow_symlinks=False)
        elif not self._make(source, target, name, state):
            del self._links[state.st_dev, state.st_ino]
            return False
        self._files += 1
        return False

    def _make(self, source: int, target: int, name: str, state: os.stat_result) -> bool:
        """Make a file that is none of the tree's others; False where it is gone."""
        if stat.S_ISREG(state.st_mode):
            return self._copy_file(source, target, name)
        if stat.S_ISLNK(state.st_mode):
            try:
                os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                return False
            os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)
        else:
            os.mknod(name, stat.S_IFMT(state.st_mode) | 0o600, state.st_rdev, dir_fd=target)
            os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)
            os.chmod(xattrs.path_at(target, name), stat.S_IMODE(state.st_mode))
        times = (state.st_atime_ns, state.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)
        return True

    def _copy_file(self, source: int, target: int, name: str) -> bool:
        try:
            # Without waiting: what was a file a moment ago may be a FIFO now.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            read = os.open(name, flags, dir_fd=source)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return False
        try:
            if not stat.S_ISREG(os.fstat(read).st_mode):
                return False
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            written = os.open(name, flags, 0o600, dir_fd=target)
            try:
                if clone_content(read, written):
                    size = os.fstat(written).st_size
                    self._shared += size
                else:
                    size = _copy_content(read, written)
                self._bytes += size
                _describe(read, written)
            finally:
                os.close(written)
        finally:
            os.close(read)
        return True

    @contextmanager
    def _opened(self, path: str) -> Iterator[tuple[int, int]]:
        """A directory of the source, and its copy. Raises: FileNotFoundError; OSError."""
        try:
            source = open_without_links(self._source, path, _DIRECTORY)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            raise FileNotFoundError(path) from error
        try:
            target = open_without_links(self._target, path, _DIRECTORY)
            try:
                yield source, target
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
            end = os.lseek(source, start, os.SEEK_HOLE)
        except OSError:
            break  # ENXIO: only a hole is left, or it became shorter (lseek(2))
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
                _set_if_possible(target, attribute, value)
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))


def _set_if_possible(target: int, attribute: str, value: bytes) -> None:
    """A tmpfs has attributes of users since Linux 6.6 only. Raises: OSError."""
    try:
        os.setxattr(target, attribute, value)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
