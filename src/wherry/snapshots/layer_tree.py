"""The directory that a layer is unpacked into: finding and making the directories in it.

Every parent is opened with `open_in_root`, where the kernel resolves links that the tar brought
as if the directory were the root. The descriptors of the latest ones are kept, and let go when
a directory or link is replaced, because names may lead elsewhere then.

An archive may use directories that it does not name. Those look as they do in the layers below,
which may not be known yet while the layer is unpacked: they are noted, and dressed when they are.
"""

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from wherry.kit.values import dataclass
from wherry.linux import xattrs
from wherry.linux.files import open_in_root, remove_tree
from wherry.linux.syscall import KernelError
from wherry.model.errors.images import ArchiveRefused

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
WHITEOUT_DEVICE = os.makedev(0, 0)
_KEPT_DIRECTORIES = 64
_MOST_UNNAMED = 100_000


@dataclass(frozen=True, slots=True)
class UnnamedDirectory:
    """A directory that an archive uses and does not describe; the root's path is empty."""

    path: bytes
    inode: int
    """It may be replaced by something else before it is dressed."""


class LayerTree:
    """A layer's directory while it is filled. Single-threaded; `close` lets go of it.

    A descriptor that a method gave is good until `begin_entry` is called.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self.inherits_group = bool(os.fstat(root).st_mode & stat.S_ISGID)
        """Whether a new file may get its directory's group (mkdir(2), "set-group-ID")."""
        self._unnamed = {b"": os.fstat(root).st_ino}
        self._kept: OrderedDict[bytes, int] = OrderedDict()
        self._retired: list[int] = []

    @property
    def root(self) -> int:
        """The layer's directory."""
        return self._root

    @property
    def unnamed(self) -> tuple[UnnamedDirectory, ...]:
        """The directories that no entry has described so far, from the root down."""
        return tuple(UnnamedDirectory(*each) for each in self._unnamed.items())

    def begin_entry(self) -> None:
        """Close what the entry before was the last to use."""
        while self._retired:
            os.close(self._retired.pop())

    def close(self) -> None:
        """Let go of all descriptors but the root's."""
        self._retire_all()
        self.begin_entry()

    def directory(self, path: bytes) -> int:
        """A descriptor of a directory in the tree, made where the archive forgot it.

        Raises: KernelError when what is in the way is neither absent nor a whiteout.
        """
        if not path:
            return self._root
        kept = self._kept.get(path)
        if kept is not None:
            return kept
        try:
            directory = open_in_root(self._root, path, OPEN_DIRECTORY)
        except KernelError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            directory = self._make_missing(path)
        self._keep(path, directory)
        return directory

    def open(self, path: bytes) -> int:
        """A directory that must be there, for the caller to close. Raises: KernelError."""
        return open_in_root(self._root, path or b".", OPEN_DIRECTORY)

    def add_directory(self, parent: int, path: bytes, name: bytes) -> int:
        """Make a directory that the archive names, or take the one that is there."""
        self._make_directory(parent, name)
        self.described(path)
        directory = os.open(name, OPEN_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        self._keep(path, directory)
        return directory

    def described(self, path: bytes) -> None:
        """An entry says how a directory looks."""
        self._unnamed.pop(path, None)

    def clear(self, parent: int, name: bytes) -> None:
        """Make room for an entry: remove whatever has its name."""
        state = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(state.st_mode):
            remove_tree(parent, name)
        else:
            os.unlink(name, dir_fd=parent)
        if stat.S_ISDIR(state.st_mode) or stat.S_ISLNK(state.st_mode):
            self._retire_all()

    # -- inside ------------------------------------------------------------------------------

    def _make_missing(self, path: bytes) -> int:
        parts = path.split(b"/")
        parent = os.dup(self._root)
        for count, name in enumerate(parts, 1):
            so_far = b"/".join(parts[:count])
            try:
                directory = self._open_or_make(parent, name, so_far)
            finally:
                os.close(parent)
            parent = directory
        return parent

    def _open_or_make(self, parent: int, name: bytes, path: bytes) -> int:
        """The directory of a path whose parent is open."""
        try:
            return open_in_root(self._root, path, OPEN_DIRECTORY)
        except KernelError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            state = state_of(parent, name)
            if state is not None and not is_whiteout(state):
                raise
        self._make_directory(parent, name)
        directory = open_in_root(self._root, path, OPEN_DIRECTORY)
        if len(self._unnamed) > _MOST_UNNAMED:
            raise ArchiveRefused(f"more than {_MOST_UNNAMED} directories that it does not name")
        self._unnamed[path] = os.fstat(directory).st_ino
        return directory

    def _make_directory(self, parent: int, name: bytes) -> None:
        """Make a directory, or keep what is one; in the place of a whiteout, an opaque one."""
        try:
            os.mkdir(name, 0o755, dir_fd=parent)
        except FileExistsError:
            state = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                return
            self.clear(parent, name)
            os.mkdir(name, 0o755, dir_fd=parent)
            if is_whiteout(state):
                xattrs.set_at(parent, name, xattrs.OVERLAY_OPAQUE, b"y")

    def _keep(self, path: bytes, directory: int) -> None:
        old = self._kept.pop(path, None)
        if old is not None:
            self._retired.append(old)
        self._kept[path] = directory
        if len(self._kept) > _KEPT_DIRECTORIES:
            self._retired.append(self._kept.popitem(last=False)[1])

    def _retire_all(self) -> None:
        # Not closed yet: the present entry may still be using one of them.
        self._retired.extend(self._kept.values())
        self._kept.clear()


def dress(root: int, unnamed: Iterable[UnnamedDirectory], lowers: Sequence[int]) -> None:
    """Give directories the mode and owner that they have in the layers below (topmost first)."""
    for each in unnamed:
        below = _first_state(each.path, lowers)
        if below is None:
            continue
        try:
            directory = open_in_root(root, each.path or b".", OPEN_DIRECTORY)
        except KernelError:
            continue  # A later entry took its place.
        try:
            if os.fstat(directory).st_ino == each.inode:
                os.fchown(directory, below.st_uid, below.st_gid)
                os.fchmod(directory, stat.S_IMODE(below.st_mode))
        finally:
            os.close(directory)


def _first_state(path: bytes, lowers: Sequence[int]) -> os.stat_result | None:
    for lower in lowers:
        try:
            below = open_in_root(lower, path or b".", os.O_PATH | os.O_DIRECTORY)
        except KernelError:
            continue
        try:
            return os.fstat(below)
        finally:
            os.close(below)
    return None


def state_of(parent: int, name: bytes) -> os.stat_result | None:
    """What a name in a directory is, itself and not where it leads; None for nothing."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_whiteout(state: os.stat_result) -> bool:
    """Whether it is overlayfs's mark for a name that is gone."""
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == WHITEOUT_DEVICE
