"""Files of this machine as a tar, and a tar as files of this machine.

A tar that comes out of a container was written by whoever runs in it. So each name is made one
directory at a time through descriptors, below the place that the user named, without ever
following a link: what the archive itself brings leads nowhere.
"""

import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import BytesIO, RawIOBase

from wherry.cli.failures import CommandFailed

_PIECE_BYTES = 256 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def pack(
    path: str, name: str, is_left_out: Callable[[str], bool] = lambda _called: False
) -> Iterator[bytes]:
    """A file or directory as a tar whose names begin with `name`. Raises: OSError.

    What `is_left_out` says of a name in the tar is asked of each file, and of each directory
    only for itself: a file below one that is left out may yet be wanted.
    """
    # It only says what things are; it is never written to.
    describing = tarfile.open(fileobj=BytesIO(), mode="w")  # noqa: SIM115
    for each, called in _walk(path, name):
        if stat.S_ISSOCK(os.lstat(each).st_mode) or is_left_out(called):
            continue
        member = describing.gettarinfo(each, called)
        member.uname = member.gname = ""
        yield member.tobuf(tarfile.PAX_FORMAT)
        if member.isreg():
            yield from _content(each, member.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _walk(path: str, name: str) -> Iterator[tuple[str, str]]:
    waiting = [(path, name)]
    while waiting:
        each, called = waiting.pop()
        yield each, called
        if stat.S_ISDIR(os.lstat(each).st_mode):
            below = sorted(os.listdir(each), reverse=True)
            waiting += [(f"{each}/{entry}", f"{called}/{entry}") for entry in below]


def _content(path: str, size: int) -> Iterator[bytes]:
    with open(path, "rb") as file:
        left = size
        while left:
            piece = file.read(min(_PIECE_BYTES, left))
            if not piece:
                raise CommandFailed(f"{path}: the file became shorter while it was read")
            left -= len(piece)
            yield piece
    yield bytes(-size % tarfile.BLOCKSIZE)


def unpack(pieces: Iterable[bytes], directory: str, base: str, new_base: str) -> int:
    """Make the files of a tar below a directory; the first part of each name is renamed.

    Returns the bytes of their content. Raises: CommandFailed; OSError.
    """
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    size = 0
    times: list[tuple[list[str], float]] = []
    try:
        with tarfile.open(fileobj=ReadablePieces(pieces), mode="r|") as archive:
            for member in archive:
                parts = _renamed(member.name, base, new_base)
                if parts:
                    size += _make(archive, member, top, parts, base, new_base)
                if member.isdir():
                    times.append((parts, member.mtime))
        for parts, mtime in reversed(times):
            _set_time(top, parts, mtime)
    except tarfile.TarError as error:
        raise CommandFailed(f"the engine's archive is malformed: {error}") from error
    finally:
        os.close(top)
    return size


def _renamed(name: str, base: str, new_base: str) -> list[str]:
    """The parts of a name below the directory; none for the directory itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise CommandFailed(f"the engine's archive has a name that leads out of it: {name!r}")
    if base not in (".", "/", ""):
        if not parts or parts[0] != base:
            raise CommandFailed(
                f"the engine's archive has a name that was not asked for: {name!r}"
            )
        parts = parts[1:]
    return [new_base, *parts] if new_base else parts


def _make(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    top: int,
    parts: list[str],
    base: str,
    new_base: str,
) -> int:
    parent = _opened(top, parts[:-1])
    name = parts[-1]
    try:
        _clear(parent, name, keeps_directory=member.isdir())
        if member.isdir():
            _make_directory(parent, name, member.mode)
        elif member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
        elif member.islnk():
            _link(top, _renamed(member.linkname, base, new_base), parent, name)
        elif member.isreg():
            _write(archive, member, parent, name)
            return member.size
        elif member.isfifo():
            os.mkfifo(name, member.mode & 0o777, dir_fd=parent)
        return 0
    finally:
        os.close(parent)


def _opened(top: int, parts: list[str]) -> int:
    """A directory below another one, made where it is missing; never through a link."""
    directory = os.dup(top)
    for part in parts:
        with suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=directory)
        below = os.open(part, _DIRECTORY, dir_fd=directory)
        os.close(directory)
        directory = below
    return directory


def _clear(parent: int, name: str, *, keeps_directory: bool) -> None:
    try:
        state = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(state.st_mode) and not keeps_directory:
        raise CommandFailed(f"cannot overwrite directory {name!r} with non-directory")
    if not stat.S_ISDIR(state.st_mode):
        if keeps_directory:
            raise CommandFailed(f"cannot overwrite non-directory {name!r} with directory")
        os.unlink(name, dir_fd=parent)


def _make_directory(parent: int, name: str, mode: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return
    made = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        os.fchmod(made, mode & 0o7777)
    finally:
        os.close(made)


def _link(top: int, target: list[str], parent: int, name: str) -> None:
    source = _opened(top, target[:-1])
    try:
        os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(source)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
    content = archive.extractfile(member)
    made = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
    with open(made, "wb") as file:
        while content is not None and (piece := content.read(_PIECE_BYTES)):
            file.write(piece)
        file.flush()
        os.fchmod(made, member.mode & 0o7777)
        os.utime(made, (member.mtime, member.mtime))


def _set_time(top: int, parts: list[str], mtime: float) -> None:
    directory = _opened(top, parts)
    try:
        os.utime(directory, (mtime, mtime))
    finally:
        os.close(directory)


class ReadablePieces(RawIOBase):
    """The pieces of an answer as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._pending = b""

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; all that is left for a negative number."""
        found = [self._pending]
        length = len(self._pending)
        while (size < 0 or length < size) and (piece := next(self._pieces, b"")):
            found.append(piece)
            length += len(piece)
        whole = b"".join(found)
        end = length if size < 0 else size
        self._pending = whole[end:]
        return whole[:end]
