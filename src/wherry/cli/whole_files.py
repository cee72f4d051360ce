"""Results as files: under their names once whole, and never in place of what is no file."""

import os
import stat
import sys
from collections.abc import Callable, Iterable

from wherry.cli.failures import CommandFailed

_UNWRITABLE: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "symbolic link directly"),
    (stat.S_ISFIFO, "named pipe (FIFO)"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "character device file"),
    (stat.S_ISBLK, "block device file"),
)
"""What docker's archives are not written to, in its words."""


class WholeFile:
    """A file that is written beside its name, and gets it when the block ends well.

    What is there already and is no file (a device, a pipe) is written to as it is: renaming onto
    it would put a file in its place.
    """

    def __init__(self, path: str) -> None:
        """Raises: OSError."""
        self._path = os.path.realpath(path)
        is_in_the_way = os.path.exists(self._path) and not os.path.isfile(self._path)
        self._staged = "" if is_in_the_way else f"{self._path}.{os.getpid()}.part"
        flags = os.O_CREAT | os.O_EXCL if self._staged else 0
        self._descriptor = os.open(
            self._staged or self._path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o666
        )

    def put(self, content: bytes) -> None:
        """Write a piece. Raises: OSError."""
        while content:
            content = content[os.write(self._descriptor, content) :]

    def end(self, *, is_whole: bool) -> None:
        """Give the file its name, or take it away. Raises: OSError."""
        os.close(self._descriptor)
        if self._staged and is_whole:
            os.replace(self._staged, self._path)
        elif self._staged:
            os.unlink(self._staged)

    def __enter__(self) -> "WholeFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self.end(is_whole=kind is None)


def deliver(fetch: Callable[[], Iterable[bytes]], path: str, *, purpose: str) -> None:
    """Write a result to a file, or without a path to standard output.

    It is fetched once there is a place for it. `purpose` is for the error, as in `failed to save
    image`. Raises: CommandFailed, OSError, and as `fetch`.
    """
    if not path:
        sys.stdout.flush()
        for piece in fetch():
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    _check_target(path, purpose)
    pieces = fetch()
    with WholeFile(path) as file:
        for piece in pieces:
            file.put(piece)


def _check_target(path: str, purpose: str) -> None:
    directory = os.path.dirname(path)
    if directory and not os.path.exists(directory):
        raise CommandFailed(
            f"failed to {purpose}: invalid output path: stat {directory}: "
            "no such file or directory"
        )
    mode = os.lstat(path).st_mode if os.path.lexists(path) else stat.S_IFREG
    for is_kind, name in _UNWRITABLE:
        if is_kind(mode):
            raise CommandFailed(f"failed to {purpose}: cannot write to a {name}")
