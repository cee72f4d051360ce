"""Directories of clients: the tree that a build gets, and the copy that is kept.

A client tells of its files and sends the contents that are wanted. Contents that came are kept,
by client and directory, and a file whose size, time and permissions are still the same is not
asked for again. A build never works on the kept copy. It gets a tree of its own, made of hard
links, so that builds at the same time don't see each other, and what the client has removed
since is not there:

    kept/files/src/a.c   ──┐ the same file
    tree/src/a.c         ──┘

Whoever sends is a stranger. A name that leads outside is refused, and directories are opened
without following links, so that a link that was sent is never a way for what is sent behind it.
"""

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from wherry.builder.sources.kept_contexts import COMING, FILES
from wherry.kit.random_ids import new_id
from wherry.kit.values import dataclass, field
from wherry.linux import xattrs
from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2, remove_tree
from wherry.model.errors import InvalidValue
from wherry.model.files import SentFile

MOSTFILES = 2_000_000
"""Files of one directory; more is no context but a mistake, or an attack."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_INSIDE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


@dataclass(slots=True)
class _Coming:
    """A file whose content is on its way."""

    file: SentFile
    name: str
    descriptor: int


@dataclass(slots=True)
class _Here:
    """The directory of what was opened last: files come in the order of a walk."""

    path: str
    descriptor: int


@dataclass(slots=True)
class ClientTree:
    """One tree under way. Methods block and are called one at a time."""

    root: int
    """The tree, empty at first; the descriptor stays the caller's."""
    kept: int
    """The kept copy's directory; the caller's as well."""
    _files: list[SentFile] = field(default_factory=list)
    _coming: dict[int, _Coming] = field(default_factory=dict)
    _wanted: set[int] = field(default_factory=set)
    _again: list[SentFile] = field(default_factory=list)
    """Other names of files, whose contents may still be on their way."""
    _here: _Here | None = None

    def add(self, files: Iterable[SentFile]) -> list[int]:
        """Make what can be made, in the order of the walk; the files whose content is wanted.

        Raises: InvalidValue.
        """
        wanted = []
        for file in files:
            number = len(self._files)
            if number >= MOSTFILES:
                raise InvalidValue(f"the client sends more than {MOSTFILES} files")
            self._files.append(file)
            with _refusing(file):
                if not self._made(file):
                    wanted.append(number)
        self._wanted.update(wanted)
        return wanted

    def write(self, pieces: Sequence[tuple[int, bytes]]) -> int:
        """Take pieces of contents, an empty one at each end; how many files are whole now.

        Raises: InvalidValue, OSError.
        """
        whole = 0
        for number, piece in pieces:
            if number not in self._wanted:
                raise InvalidValue(f"the client sends file {number}, which nobody asked for")
            coming = self._coming.get(number) or self._begin(number)
            if piece:
                _write(coming.descriptor, piece)
                continue
            with _refusing(coming.file):
                self._end(number, coming)
            whole += 1
        return whole

    def finish(self) -> None:
        """All is there: files get their other names, directories their permissions and times.

        Raises: InvalidValue.
        """
        if self._wanted:
            missing = self._files[min(self._wanted)].path
            raise InvalidValue(f"the client did not send {missing!r}")
        for file in self._again:
            with _refusing(file):
                self._link_again(file)
        for file in reversed(self._files):
            if stat.S_ISDIR(file.mode):
                directory = openat2(self.root, file.path, _DIRECTORY, 0, _INSIDE)
                try:
                    os.fchmod(directory, stat.S_IMODE(file.mode))
                    os.utime(directory, ns=(file.modified_ns, file.modified_ns))
                finally:
                    os.close(directory)

    def close(self) -> None:
        """Let go of what is open; what had not come whole is gone."""
        for coming in self._coming.values():
            os.close(coming.descriptor)
            os.unlink(f"{COMING}/{coming.name}", dir_fd=self.kept)
        self._coming.clear()
        if self._here is not None:
            os.close(self._here.descriptor)
            self._here = None

    # -- inside ------------------------------------------------------------------------------

    def _made(self, file: SentFile) -> bool:
        """Make what needs no content; False for a file that has to be sent."""
        directory, name = self._parent(file.path), posixpath.basename(file.path)
        kind = stat.S_IFMT(file.mode)
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=directory)
        elif kind == stat.S_IFLNK:
            os.symlink(file.link, name, dir_fd=directory)
            os.utime(
                name,
                ns=(file.modified_ns, file.modified_ns),
                dir_fd=directory,
                follow_symlinks=False,
            )
        elif kind == stat.S_IFIFO:
            os.mkfifo(name, stat.S_IMODE(file.mode), dir_fd=directory)
        elif kind != stat.S_IFREG:
            raise InvalidValue(f"the client sends {file.path!r}, which is a device")
        elif file.link:
            self._again.append(file)
        else:
            return self._linked(file, directory, name)
        return True

    def _linked(self, file: SentFile, directory: int, name: str) -> bool:
        """Whether the kept copy has this very file; it is in the tree then."""
        place = f"{FILES}/{posixpath.dirname(file.path)}"
        try:
            above = openat2(self.kept, place, _DIRECTORY, 0, _INSIDE)
        except OSError:
            return False
        try:
            state = os.stat(name, dir_fd=above, follow_symlinks=False)
            if (state.st_mode, state.st_size, state.st_mtime_ns) != (
                file.mode,
                file.size,
                file.modified_ns,
            ) or (xattrs.get_at(above, name, xattrs.CAPABILITY) or b"") != (file.capabilities):
                return False
            os.link(name, name, src_dir_fd=above, dst_dir_fd=directory, follow_symlinks=False)
        except OSError:
            return False
        finally:
            os.close(above)
        return True

    def _link_again(self, file: SentFile) -> None:
        """Another name of a file that was sent before."""
        _check(file.link)
        directory, name = self._parent(file.path), posixpath.basename(file.path)
        place, old = posixpath.split(file.link)
        above = openat2(self.root, place or ".", _DIRECTORY, 0, _INSIDE)
        try:
            os.link(old, name, src_dir_fd=above, dst_dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(above)

    def _parent(self, path: str) -> int:
        """The directory of the tree that a path is in, which must have been sent before."""
        _check(path)
        parent = posixpath.dirname(path)
        if self._here is None or self._here.path != parent:
            descriptor = openat2(self.root, parent or ".", _DIRECTORY, 0, _INSIDE)
            if self._here is not None:
                os.close(self._here.descriptor)
            self._here = _Here(parent, descriptor)
        return self._here.descriptor

    def _begin(self, number: int) -> _Coming:
        name = new_id()
        descriptor = os.open(f"{COMING}/{name}", _NEW, 0o600, dir_fd=self.kept)
        coming = _Coming(self._files[number], name, descriptor)
        self._coming[number] = coming
        return coming

    def _end(self, number: int, coming: _Coming) -> None:
        """The content is whole: into the tree with it, and into the kept copy."""
        file, came = coming.file, f"{COMING}/{coming.name}"
        os.fchmod(coming.descriptor, stat.S_IMODE(file.mode))
        if file.capabilities:
            os.setxattr(coming.descriptor, xattrs.CAPABILITY, file.capabilities)
        os.utime(coming.descriptor, ns=(file.modified_ns, file.modified_ns))
        directory = self._parent(file.path)
        os.link(came, posixpath.basename(file.path), src_dir_fd=self.kept, dst_dir_fd=directory)
        self._keep(came, file.path)
        os.close(coming.descriptor)
        del self._coming[number]
        self._wanted.discard(number)

    def _keep(self, came: str, path: str) -> None:
        """Put a file where the next build looks for it, in the place of what was there."""
        parent, name = posixpath.split(path)
        above = os.open(FILES, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self.kept)
        try:
            for part in parent.split("/") if parent else ():
                below = _directory(above, part)
                os.close(above)
                above = below
            try:
                os.rename(came, name, src_dir_fd=self.kept, dst_dir_fd=above)
            except IsADirectoryError:
                remove_tree(above, name)
                os.rename(came, name, src_dir_fd=self.kept, dst_dir_fd=above)
        finally:
            os.close(above)


def _directory(above: int, name: str) -> int:
    """A directory of the kept copy, whatever was in its place."""
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    except NotADirectoryError:
        os.unlink(name, dir_fd=above)
    except FileNotFoundError:
        pass
    with suppress(FileExistsError):  # Another build was quicker.
        os.mkdir(name, 0o700, dir_fd=above)
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)


@contextmanager
def _refusing(file: SentFile) -> Iterator[None]:
    """What can't be made of a file is the client's mistake."""
    try:
        yield
    except (OSError, ValueError) as problem:
        raise InvalidValue(f"the client sends {file.path!r}: {problem}") from problem


def _write(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]


def _check(path: str) -> None:
    """Raises: ValueError for a name that is not one of a file below the top."""
    is_plain = posixpath.normpath(path) == path and path not in (".", "..")
    if not is_plain or path.startswith(("/", "../")):
        raise ValueError("the name leads outside")
