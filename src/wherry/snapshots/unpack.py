"""Unpack an archive into a tree that is in use: a container's files, perhaps while it runs.

Theory of operation. Every name is resolved by the kernel below the descriptor of the container's
root (`open_in_root`), so a link that the container swaps in at any moment leads somewhere in the
container. The last part of a name is never followed: files are made with O_EXCL, and what is
changed afterwards is changed through a descriptor of the very thing that was made.

Names mean what they say here: `.wh.x` is a file, no whiteout.
"""

import errno
import os
import stat
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from wherry.kit.values import dataclass
from wherry.linux import xattrs
from wherry.linux.files import making_files_as, open_in_root, remove_tree
from wherry.linux.syscall import KernelError
from wherry.model.errors import InvalidValue
from wherry.model.errors.images import ArchiveRefused
from wherry.operations.files import targets
from wherry.snapshots.apply import LayerCounts, TreeWriter, refusal
from wherry.snapshots.layer_names import shown
from wherry.snapshots.layer_tree import OPEN_DIRECTORY, state_of
from wherry.snapshots.tar_reader import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    SYMLINK,
    Archive,
    TarEntry,
)

_MOST_ATTEMPTS = 16


class OwnerMap(Protocol):
    """Which ids of the host the ids of a user namespace are."""

    @property
    def root(self) -> tuple[int, int]:
        """Who its root is: user and group."""
        ...

    def on_host(self, uid: int, gid: int) -> tuple[int, int]:
        """Who its uid and gid are. Raises: InvalidValue for none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackRules:
    """What an archive may do to the files that are there."""

    owner: tuple[int, int] | None = None
    """Who gets everything; None: whom the archive says."""
    keeps_kinds: bool = False
    """A directory is never replaced by something else, nor the other way round."""
    is_whole_tree: bool = False
    """The archive is all that the tree will be: its root looks as the archive says, and a name
    that leads out of it, by `..` or from the root, is refused."""
    takes_devices: bool = True
    ids: OwnerMap | None = None
    """For a tree that a user namespace owns: who the archive's owners are on the host."""


def unpack_tar(archive: Archive, root: int, place: bytes, rules: UnpackRules) -> LayerCounts:
    """Unpack an archive into a directory of a tree whose root is open.

    Raises: ArchiveRefused, InvalidValue; OSError.
    """
    with _owned_by_default(rules.ids):
        tree = _LiveTree(root, place, keeps_kinds=rules.keeps_kinds)
        return _unpacked(archive, tree, rules)


def _owned_by_default(ids: OwnerMap | None) -> AbstractContextManager[None]:
    """A file whose owner has no id in its file system can't even be made."""
    return nullcontext() if ids is None else making_files_as(*ids.root)


def _unpacked(archive: Archive, tree: "_LiveTree", rules: UnpackRules) -> LayerCounts:
    writer = _LiveWriter(tree, rules)
    try:
        for entry in archive:
            writer.add(entry, archive)
        writer.set_directory_times()
    except OSError as error:
        raise refusal(error) or error from error
    finally:
        writer.close()
    return writer.counts


class _AnotherKind(Exception):
    """A directory is in the way of something else, or something else in that of a directory."""


class _LiveTree:
    """The directory that is unpacked into, below the root of the container."""

    def __init__(self, root: int, place: bytes, *, keeps_kinds: bool) -> None:
        """Raises: OSError when the place is no directory."""
        self._keeps_kinds = keeps_kinds
        self._container = root
        self._place = place.rstrip(b"/")
        self._root = open_in_root(root, place, OPEN_DIRECTORY)
        self._kept: tuple[bytes, int] | None = None
        self._retired: list[int] = []
        # Nobody can say which directories will get a group of their own meanwhile.
        self.inherits_group = True

    @property
    def root(self) -> int:
        """The directory that is unpacked into."""
        return self._root

    def begin_entry(self) -> None:
        """Close what the entry before was the last to use."""
        while self._retired:
            os.close(self._retired.pop())

    def close(self) -> None:
        """Let go of the descriptors."""
        self._retire()
        self.begin_entry()
        os.close(self._root)

    def directory(self, path: bytes) -> int:
        """A directory, made where it is missing. Raises: OSError."""
        if not path:
            return self._root
        if self._kept is not None and self._kept[0] == path:
            return self._kept[1]
        return self._keep(path, self._made(path))

    def open(self, path: bytes) -> int:
        """A directory that must be there, for the caller to close. Raises: KernelError."""
        return open_in_root(self._container, self._full(path), OPEN_DIRECTORY)

    def add_directory(self, parent: int, path: bytes, name: bytes) -> int:
        """Make a directory, or take the one that is there. Raises: OSError."""
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:
            state = state_of(parent, name)
            if state is None or not stat.S_ISDIR(state.st_mode):
                if self._keeps_kinds and state is not None:
                    raise _AnotherKind from None
                self._remove(parent, name)
                os.mkdir(name, 0o755, dir_fd=parent)
        made = os.open(name, OPEN_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        return self._keep(path, made)

    def clear(self, parent: int, name: bytes) -> None:
        """Make room for what is no directory: remove whatever has this name. Raises: OSError."""
        state = state_of(parent, name) if self._keeps_kinds else None
        if state is not None and stat.S_ISDIR(state.st_mode):
            raise _AnotherKind
        self._remove(parent, name)

    def _remove(self, parent: int, name: bytes) -> None:
        remove_tree(parent, name)
        self._retire()

    def described(self, path: bytes) -> None:
        """The tree is its own: what an archive leaves out is as it was."""

    def _made(self, path: bytes) -> int:
        try:
            return self.open(path)
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
        opened, _made = targets.open_directory(self._container, os.fsdecode(self._full(path)))
        os.close(opened)
        return self.open(path)

    def _full(self, path: bytes) -> bytes:
        return self._place + b"/" + path if path else self._place or b"/"

    def _keep(self, path: bytes, directory: int) -> int:
        self._retire()
        self._kept = (path, directory)
        return directory

    def _retire(self) -> None:
        if self._kept is not None:
            self._retired.append(self._kept[1])
            self._kept = None


class _LiveWriter(TreeWriter):
    """Makes entries by the rules of a copy."""

    def __init__(self, tree: _LiveTree, rules: UnpackRules) -> None:
        super().__init__(tree)
        self._rules = rules

    def add(self, entry: TarEntry, archive: Archive) -> None:
        """Make what one entry says."""
        if self._rules.owner is not None:
            entry.uid, entry.gid = self._rules.owner
        if self._rules.ids is not None:
            entry.uid, entry.gid = self._rules.ids.on_host(entry.uid, entry.gid)
        if self._rules.is_whole_tree and (
            entry.path.startswith(b"/") or b".." in entry.path.split(b"/")
        ):
            raise ArchiveRefused(f"name leads out of the archive: {shown(entry.path)}")
        if not self._rules.takes_devices and entry.kind in (CHARACTER_DEVICE, BLOCK_DEVICE):
            raise ArchiveRefused(f"device file: {shown(entry.path)}")
        for attempt in range(_MOST_ATTEMPTS):
            try:
                super().add(entry, archive)
                return
            except _AnotherKind:
                was, becomes = "non-directory", "directory"
                if entry.kind != DIRECTORY:
                    was, becomes = becomes, was
                raise InvalidValue(
                    f"cannot overwrite {was} {shown(entry.path)} with {becomes}"
                ) from None
            except FileExistsError:
                # Somebody made the name again after we had cleared it; nothing was read yet.
                if attempt == _MOST_ATTEMPTS - 1:
                    raise

    def _set_root(self, entry: TarEntry) -> None:
        """The directory itself stays as it looks, unless it was made for the archive."""
        if self._rules.is_whole_tree:
            super()._set_root(entry)
        elif entry.kind != DIRECTORY:
            raise ArchiveRefused("the root of an archive must be a directory")

    def _is_whiteout(self, parent_path: bytes, name: bytes) -> bool:
        return False

    def _describe(self, parent: int, name: bytes, entry: TarEntry) -> None:
        """As for a layer, but for the mode: chmod(2) by name would follow what was swapped in."""
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind != SYMLINK:
            made = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                if not stat.S_ISLNK(os.fstat(made).st_mode):
                    os.chmod(f"/proc/self/fd/{made}", entry.mode)
            finally:
                os.close(made)
        os.utime(
            xattrs.path_at(parent, name),
            ns=(entry.mtime_ns, entry.mtime_ns),
            follow_symlinks=False,
        )
