"""Files that are either the old or the new content, never half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def write_atomically(path: str, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file; a reader sees the old or the new one. Not durable over a power cut.

    Raises: OSError; then the old one is there, and nothing beside it.
    """
    with _replacing(path, mode) as descriptor:
        _write_all(descriptor, content)


def write_durably(path: str, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file so that the new content survives a power cut once this returns.

    write, fsync, rename, fsync of the directory: without the last one the rename itself can
    be lost (fsync(2)). Raises: OSError, as `write_atomically`.
    """
    with _replacing(path, mode) as descriptor:
        _write_all(descriptor, content)
        os.fsync(descriptor)
    sync_directory(os.path.dirname(path) or ".")


@contextmanager
def _replacing(path: str, mode: int) -> Iterator[int]:
    """A file that takes the place of another when the block ends, and is gone when it fails."""
    staged = f"{path}.new"
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        os.rename(staged, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(staged)
        raise


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: str, *, limit_bytes: int) -> bytes:
    """The content of a file that must not be larger than the limit.

    Raises: OSError; ValueError when there is more.
    """
    with open(path, "rb") as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise ValueError(f"{path} is larger than {limit_bytes} bytes")
    return content


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
