"""Unpack a layer's tar into a directory of its own, as overlayfs wants it.

Theory of operation. The directory begins empty and ends as one lower layer: whiteouts become
0:0 character devices, opaque markers an attribute. So a layer never touches another one, and
whatever is found under a name came from this very tar. The tree (`layer_tree`) opens parents
so that no link leads out of it; the last part of a name is never followed.

Modification times of directories come last, since each new entry would change them again.
"""

import errno
import os
import stat
from collections.abc import Callable
from typing import Protocol

from wherry.kit.values import dataclass
from wherry.linux import xattrs
from wherry.linux.files import file_creation_mask
from wherry.linux.syscall import KernelError
from wherry.model.errors.images import ArchiveRefused
from wherry.snapshots.layer_names import (
    OPAQUE_MARKER,
    WHITEOUT_METADATA_PREFIX,
    WHITEOUT_PREFIX,
    clean,
    shown,
    whited_out,
)
from wherry.snapshots.layer_tree import (
    WHITEOUT_DEVICE,
    LayerTree,
    UnnamedDirectory,
    is_whiteout,
    state_of,
)
from wherry.snapshots.tar_reader import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Archive,
    TarEntry,
    check_sparse,
)

_MOST_PENDING_TIMES = 100_000
_KEPT_ATTRIBUTES = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class LayerCounts:
    """What one layer had in it: the evidence of its operation."""

    entries: int = 0
    files: int = 0
    directories: int = 0
    links: int = 0
    devices: int = 0
    whiteouts: int = 0
    content_bytes: int = 0
    left_out: int = 0
    """Names and attributes of a tree that its archive has not."""


def apply_tar(
    archive: Archive,
    root: int,
    *,
    on_progress: Callable[[LayerCounts], None] | None = None,
) -> tuple[LayerCounts, tuple[UnnamedDirectory, ...]]:
    """Unpack an archive into an empty directory, of which `root` is a descriptor.

    Also returns the directories that it uses and doesn't describe, for `layer_tree.dress`.

    Raises: ArchiveRefused; OSError when the disk refuses.
    """
    tree = LayerTree(root)
    writer = TreeWriter(tree)
    try:
        for entry in archive:
            writer.add(entry, archive)
            if on_progress is not None and writer.counts.entries % 1000 == 0:
                on_progress(writer.counts)
        writer.set_directory_times()
    except OSError as error:
        raise refusal(error) or error from error
    finally:
        writer.close()
    return writer.counts, tree.unnamed


def refusal(error: OSError) -> ArchiveRefused | None:
    """The archive's fault, where the kernel's word can mean nothing else."""
    problems = {
        errno.ENAMETOOLONG: "a name is too long",
        errno.ELOOP: "links lead in a circle",
        errno.ENOTDIR: "a name goes through something that is not a directory",
        errno.ENOENT: "a name goes through a link that leads nowhere",
        errno.EFBIG: "a file is too large",
        errno.EXDEV: "a hard link leads to another file system",
        errno.EMLINK: "too many hard links",
        errno.EISDIR: "a directory is where a file should be",
        errno.EINVAL: "a name, device or attribute that this system can't have",
    }
    problem = problems.get(error.errno or 0)
    return ArchiveRefused(problem) if problem else None


class WritableTree(Protocol):
    """Where files are made. A descriptor that a method gave is good until `begin_entry`."""

    inherits_group: bool
    """Whether a new file may get its directory's group (mkdir(2), "set-group-ID")."""

    @property
    def root(self) -> int:
        """The directory that names start at."""
        ...

    def begin_entry(self) -> None:
        """Close what the entry before was the last to use."""
        ...

    def close(self) -> None:
        """Let go of all descriptors of its own."""
        ...

    def directory(self, path: bytes) -> int:
        """A directory, made where it is missing. Raises: OSError."""
        ...

    def open(self, path: bytes) -> int:
        """A directory that must be there, for the caller to close. Raises: OSError."""
        ...

    def add_directory(self, parent: int, path: bytes, name: bytes) -> int:
        """Make a directory, or take the one that is there. Raises: OSError."""
        ...

    def clear(self, parent: int, name: bytes) -> None:
        """Make room: remove whatever has this name. Raises: OSError."""
        ...

    def described(self, path: bytes) -> None:
        """Hear that an entry says how a directory looks."""
        ...


class TreeWriter:
    """Where entries become files. Single-threaded; `close` lets go of the descriptors."""

    def __init__(self, tree: WritableTree) -> None:
        self.counts = LayerCounts()
        self._tree = tree
        self._times: dict[bytes, int] = {}
        # Two calls fewer for most files, which is a quarter of the time that they take.
        self._identity = (os.geteuid(), os.getegid())
        self._not_at_creation = 0o7000 | file_creation_mask()

    def close(self) -> None:
        """Let go of the tree's descriptors."""
        self._tree.close()

    def add(self, entry: TarEntry, archive: Archive) -> None:
        """Make what one entry says."""
        self.counts.entries += 1
        self._tree.begin_entry()
        path = clean(entry.path)
        parent_path, _, name = path.rpartition(b"/")
        if WHITEOUT_PREFIX in path and self._is_whiteout(parent_path, name):
            return
        if not name:
            self._set_root(entry)
            return
        parent = self._tree.directory(parent_path)
        if entry.kind == REGULAR:
            self._add_file(parent, name, entry, archive)
        elif entry.kind == DIRECTORY:
            self._add_directory(parent, path, name, entry)
        elif entry.kind == SYMLINK:
            self._add_symlink(parent, name, entry)
        elif entry.kind == HARD_LINK:
            self._add_hard_link(parent, name, entry)
        else:
            self._add_device(parent, name, entry)

    def set_directory_times(self) -> None:
        """Give directories their times, now that nothing is added to them."""
        for path, mtime_ns in self._times.items():
            try:
                directory = self._tree.open(path)
            except KernelError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR):
                    continue  # a later entry took its place
                raise
            try:
                os.utime(directory, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(directory)
        self._times.clear()

    # -- one entry ---------------------------------------------------------------------------

    def _add_file(self, parent: int, name: bytes, entry: TarEntry, archive: Archive) -> None:
        mode = entry.mode
        try:
            file = os.open(name, _NEW_FILE, mode & 0o777, dir_fd=parent)
        except FileExistsError:
            self._tree.clear(parent, name)
            file = os.open(name, _NEW_FILE, mode & 0o777, dir_fd=parent)
        try:
            if entry.sparse is not None:
                _write_sparse(file, entry, archive)
            else:
                while archive.remaining:
                    _write_all(file, archive.read_content())
            # The order matters: a change of the owner takes setuid and capabilities away.
            if not self._is_made_for(file, entry):
                os.fchown(file, entry.uid, entry.gid)
            if mode & self._not_at_creation:
                os.fchmod(file, mode)
            if entry.xattrs:
                _set_attributes(file, entry)
            os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(file)
        self.counts.files += 1
        self.counts.content_bytes += entry.full_size if entry.sparse is not None else entry.size

    def _is_made_for(self, file: int, entry: TarEntry) -> bool:
        """Whether a new file belongs to whom it is to; asking costs less than a change."""
        owner = (entry.uid, entry.gid)
        if owner != self._identity or not self._tree.inherits_group:
            return owner == self._identity
        state = os.fstat(file)
        return (state.st_uid, state.st_gid) == owner

    def _add_directory(self, parent: int, path: bytes, name: bytes, entry: TarEntry) -> None:
        directory = self._tree.add_directory(parent, path, name)
        self._describe_directory(directory, path, entry)
        self.counts.directories += 1

    def _set_root(self, entry: TarEntry) -> None:
        if entry.kind != DIRECTORY:
            raise ArchiveRefused("the root of a layer must be a directory")
        self._describe_directory(self._tree.root, b"", entry)
        self._tree.described(b"")

    def _add_symlink(self, parent: int, name: bytes, entry: TarEntry) -> None:
        if not entry.link:
            raise ArchiveRefused(f"symbolic link without a target: {shown(entry.path)}")
        try:
            os.symlink(entry.link, name, dir_fd=parent)
        except FileExistsError:
            self._tree.clear(parent, name)
            os.symlink(entry.link, name, dir_fd=parent)
        self._describe(parent, name, entry)
        self.counts.links += 1

    def _add_hard_link(self, parent: int, name: bytes, entry: TarEntry) -> None:
        """Link to what this archive made earlier; the target's last part is not followed."""
        target_path, _, target = clean(entry.link).rpartition(b"/")
        if not target:
            raise ArchiveRefused(f"hard link to a directory: {shown(entry.path)}")
        source = self._open_target(target_path, entry)
        try:
            state = state_of(source, target)
            if state is None or is_whiteout(state):
                raise ArchiveRefused(
                    f"hard link {shown(entry.path)} to {shown(entry.link)}, "
                    "which is not in the archive"
                )
            if stat.S_ISDIR(state.st_mode):
                raise ArchiveRefused(f"hard link to a directory: {shown(entry.path)}")
            existing = state_of(parent, name)
            if existing is not None:
                if (existing.st_dev, existing.st_ino) == (state.st_dev, state.st_ino):
                    return
                self._tree.clear(parent, name)
            os.link(target, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)
        self.counts.links += 1

    def _open_target(self, path: bytes, entry: TarEntry) -> int:
        try:
            return self._tree.open(path)
        except KernelError as error:
            raise ArchiveRefused(
                f"hard link {shown(entry.path)} to {shown(entry.link)}, "
                "which is not in the archive"
            ) from error

    def _add_device(self, parent: int, name: bytes, entry: TarEntry) -> None:
        kinds = {
            CHARACTER_DEVICE: stat.S_IFCHR,
            BLOCK_DEVICE: stat.S_IFBLK,
            FIFO: stat.S_IFIFO,
        }
        if entry.kind == CHARACTER_DEVICE and entry.major == entry.minor == 0:
            raise ArchiveRefused(f"device 0:0 is overlayfs's whiteout: {shown(entry.path)}")
        if entry.major >= 1 << 12 or entry.minor >= 1 << 20:
            raise ArchiveRefused(f"device number out of range: {shown(entry.path)}")
        device = os.makedev(entry.major, entry.minor)
        mode = kinds[entry.kind] | 0o600
        try:
            os.mknod(name, mode, device, dir_fd=parent)
        except FileExistsError:
            self._tree.clear(parent, name)
            os.mknod(name, mode, device, dir_fd=parent)
        self._describe(parent, name, entry)
        self.counts.devices += 1

    def _is_whiteout(self, parent_path: bytes, name: bytes) -> bool:
        """Do what a whiteout says; False when the name only looks a little like one."""
        for part in parent_path.split(b"/"):
            if part.startswith(WHITEOUT_METADATA_PREFIX):
                return True
            if part.startswith(WHITEOUT_PREFIX):
                raise ArchiveRefused(f"invalid whiteout name: {shown(parent_path)}")
        if not name.startswith(WHITEOUT_PREFIX):
            return False
        if name == OPAQUE_MARKER:
            xattrs.set_at(self._tree.directory(parent_path), b".", xattrs.OVERLAY_OPAQUE, b"y")
        elif name.startswith(WHITEOUT_METADATA_PREFIX):
            return True
        else:
            self._white_out(self._tree.directory(parent_path), whited_out(name))
        self.counts.whiteouts += 1
        return True

    def _white_out(self, parent: int, name: bytes) -> None:
        """Hide a name of the layers below; what this layer itself has there stays."""
        state = state_of(parent, name)
        if state is None:
            os.mknod(name, stat.S_IFCHR, WHITEOUT_DEVICE, dir_fd=parent)
        elif stat.S_ISDIR(state.st_mode):
            xattrs.set_at(parent, name, xattrs.OVERLAY_OPAQUE, b"y")

    # -- how it looks ------------------------------------------------------------------------

    def _describe_directory(self, directory: int, path: bytes, entry: TarEntry) -> None:
        os.fchown(directory, entry.uid, entry.gid)
        os.fchmod(directory, entry.mode)
        self._tree.inherits_group = self._tree.inherits_group or bool(entry.mode & stat.S_ISGID)
        if entry.xattrs:
            _set_attributes(directory, entry)
        if len(self._times) >= _MOST_PENDING_TIMES:
            self.set_directory_times()
        self._times[path] = entry.mtime_ns

    def _describe(self, parent: int, name: bytes, entry: TarEntry) -> None:
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.kind != SYMLINK:
            # Ours since a moment ago, and no link: fchmodat(2) can't help but follow.
            os.chmod(name, entry.mode, dir_fd=parent)
        if entry.xattrs:
            _set_attributes(xattrs.path_at(parent, name), entry)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)


def _write_all(file: int, chunk: memoryview | bytes) -> None:
    written = os.write(file, chunk)
    while written < len(chunk):
        written += os.write(file, chunk[written:])


def _write_sparse(file: int, entry: TarEntry, archive: Archive) -> None:
    check_sparse(entry)
    for offset, length in entry.sparse or ():
        os.lseek(file, offset, os.SEEK_SET)
        left = length
        while left:
            chunk = archive.read_content(left)
            _write_all(file, chunk)
            left -= len(chunk)
    os.ftruncate(file, entry.full_size)


def _set_attributes(subject: int | bytes, entry: TarEntry) -> None:
    """Set the attributes that a layer may bring; never those that overlayfs understands."""
    for attribute, value in entry.xattrs.items():
        is_plain = attribute.startswith("user.") and not attribute.startswith("user.overlay.")
        if not is_plain and attribute not in _KEPT_ATTRIBUTES:
            continue
        try:
            os.setxattr(subject, attribute, value, follow_symlinks=isinstance(subject, int))
        except OSError as error:
            # EPERM: user attributes are for files and directories only (xattr(7)).
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
        except ValueError:
            raise ArchiveRefused(f"attribute name with a NUL in {shown(entry.path)}") from None
