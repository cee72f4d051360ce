"""Pack one layer's directory as a tar: the reverse of `apply`.

What overlayfs keeps as 0:0 devices and attributes becomes `.wh.` files again. The order is that
of the names, each directory before what is in it, so that the same tree gives the same bytes.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Protocol

from wherry.linux import xattrs
from wherry.linux.files import open_in_root
from wherry.model.errors import StepFailed
from wherry.snapshots.apply import LayerCounts
from wherry.snapshots.layer_names import (
    MOUNT_POINTS,
    OPAQUE_MARKER,
    WHITEOUT_PREFIX,
    is_bookkeeping,
    shown,
)
from wherry.snapshots.tar_reader import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    TarEntry,
)
from wherry.snapshots.tar_writer import END, header, padding, sparse_map

_CHUNK = 1 << 20
KINDS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER_DEVICE,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}
_STACKING_ATTRIBUTES = ("user.overlay.", "user.fuseoverlayfs.")
"""What stacks directories keeps notes on files: no container wrote them."""
_REDIRECTS = ("trusted.overlay.redirect", "trusted.overlay.metacopy")


class Writable(Protocol):
    """Where bytes go; may block."""

    def write(self, data: bytes, /) -> object:
        """Take all of them."""
        ...


def tree_tar(root: int, out: Writable) -> LayerCounts:
    """Write a tree that may change meanwhile; what vanishes before it is read is left out.

    Raises: StepFailed; OSError.
    """
    packer = _Packer(root, out, is_live=True)
    packer.add_directory(b"")
    out.write(END)
    return packer.counts


def entry_tar(directory: int, name: bytes, shown_as: bytes, out: Writable) -> LayerCounts:
    """Write what a directory has under a name, called otherwise; it may change meanwhile.

    A link is written as a link. Raises: StepFailed; OSError, when it is not there.
    """
    state = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISDIR(state.st_mode):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        root = os.open(name, flags, dir_fd=directory)
        try:
            return directory_tar(root, shown_as, out)
        finally:
            os.close(root)
    packer = _Packer(directory, out, is_live=True)
    packer.add_entry(directory, name, shown_as, state)
    out.write(END)
    return packer.counts


def directory_tar(root: int, shown_as: bytes, out: Writable) -> LayerCounts:
    """Write a directory with all that is in it, called otherwise. Raises: as `tree_tar`."""
    packer = _Packer(root, out, prefix=shown_as, is_live=True)
    packer.add_directory(b"")
    out.write(END)
    return packer.counts


def diff_tar(root: int, out: Writable) -> LayerCounts:
    """Write the tree below a directory descriptor as a layer.

    Raises: StepFailed for what no layer can say; OSError.
    """
    packer = _Packer(root, out, is_layer=True)
    packer.add_directory(b"")
    out.write(END)
    return packer.counts


def snapshot_tar(root: int, out: Writable) -> LayerCounts:
    """Write what a container has written as a layer, while it may be writing on.

    Raises: StepFailed for what no layer can say; OSError.
    """
    packer = _Packer(root, out, is_layer=True, is_live=True, leaves_out=MOUNT_POINTS)
    packer.add_directory(b"")
    out.write(END)
    return packer.counts


class _Packer:
    def __init__(
        self,
        root: int,
        out: Writable,
        *,
        prefix: bytes = b"",
        is_layer: bool = False,
        is_live: bool = False,
        leaves_out: frozenset[bytes] = frozenset(),
    ) -> None:
        self.counts = LayerCounts()
        self._root = root
        self._out = out
        self._prefix = prefix
        """What the root is called; empty for a layer, whose names begin below it."""
        self._is_layer = is_layer
        """What a driver keeps for itself is left out."""
        self._is_live = is_live
        """Somebody may be changing the tree: what vanishes is left out."""
        self._leaves_out = leaves_out
        """Places that are left out where they are empty."""
        self._first_names: dict[tuple[int, int], bytes] = {}

    def add_directory(self, top: bytes) -> None:
        """Pack a directory and everything below; the root itself has an entry too."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            with (
                self._vanishing(is_allowed=bool(path)),
                self._opened(path, os.O_RDONLY | os.O_DIRECTORY) as directory,
            ):
                self._add_directory_entry(directory, path)
                waiting.extend(reversed(self._add_entries(directory, path)))

    def add_entry(self, directory: int, name: bytes, path: bytes, state: os.stat_result) -> None:
        """Pack one name of a directory, which is no directory itself."""
        self._add(directory, name, path, state)

    def _add_entries(self, directory: int, path: bytes) -> list[bytes]:
        """Pack what a directory has, but for its directories, which are the result."""
        below = []
        for name in sorted(os.fsencode(each) for each in os.listdir(directory)):
            if self._is_layer and is_bookkeeping(name):
                self.counts.left_out += 1
                continue
            full = path + b"/" + name if path else name
            with self._vanishing():
                state = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if full in self._leaves_out and is_empty(directory, name, state):
                    self.counts.left_out += 1
                    continue
                if stat.S_ISDIR(state.st_mode):
                    below.append(full)
                else:
                    self._add(directory, name, self._named(full), state)
        return below

    def _named(self, path: bytes) -> bytes:
        """What a path of the tree is called in the archive."""
        if not self._prefix:
            return path
        return self._prefix.rstrip(b"/") + b"/" + path if path else self._prefix

    @contextlib.contextmanager
    def _vanishing(self, *, is_allowed: bool = True) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            is_gone = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
            if not (is_gone and self._is_live and is_allowed):
                raise

    def _add_directory_entry(self, directory: int, path: bytes) -> None:
        attributes = xattrs.list_of(directory)
        named = self._named(path)
        entry = entry_of(
            DIRECTORY, named.rstrip(b"/") + b"/" if named else b"./", os.fstat(directory)
        )
        self._take_attributes(entry, attributes, lambda name: xattrs.get(directory, name))
        self._write(entry)
        self.counts.directories += 1
        if xattrs.OVERLAY_OPAQUE in attributes and (
            xattrs.get(directory, xattrs.OVERLAY_OPAQUE) == b"y"
        ):
            self._whiteout(path + b"/" + OPAQUE_MARKER if path else OPAQUE_MARKER)

    def _add(self, directory: int, name: bytes, path: bytes, state: os.stat_result) -> None:
        kind = KINDS.get(stat.S_IFMT(state.st_mode))
        if kind is None:
            self.counts.left_out += 1
            return  # a socket: no archive can hold one, and nobody listens on it
        if kind == CHARACTER_DEVICE and state.st_rdev == 0:
            parent, slash, _ = path.rpartition(b"/")
            self._whiteout(parent + slash + WHITEOUT_PREFIX + name)
            return
        entry = entry_of(kind, path, state)
        first = self._first_names.get((state.st_dev, state.st_ino))
        if first is not None:
            entry.kind, entry.link, entry.size = HARD_LINK, first, 0
            self._write(entry)
            self.counts.links += 1
            return
        if state.st_nlink > 1:
            self._first_names[state.st_dev, state.st_ino] = path
        if kind == REGULAR:
            self._add_file(directory, name, entry)
            return
        attributes = xattrs.list_at(directory, name)
        self._take_attributes(entry, attributes, lambda each: xattrs.get_at(directory, name, each))
        if kind == SYMLINK:
            entry.link = os.readlink(name, dir_fd=directory)
            self.counts.links += 1
        else:
            self.counts.devices += 1
        self._write(entry)

    def _add_file(self, directory: int, name: bytes, entry: TarEntry) -> None:
        # Without waiting: what was a file a moment ago may be a FIFO now.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(name, flags, dir_fd=directory)
        try:
            state = os.fstat(file)
            if not stat.S_ISREG(state.st_mode):
                return
            # Of the open file: by its name they would take three times as long.
            self._take_attributes(entry, xattrs.list_of(file), lambda each: xattrs.get(file, each))
            entry.size = state.st_size
            pieces: tuple[tuple[int, int], ...] = ((0, state.st_size),)
            if state.st_blocks * 512 < state.st_size:
                pieces = tuple(data_in(file, state.st_size))
            if sum(length for _offset, length in pieces) < state.st_size:
                # GNU tar takes an empty map for an empty file.
                entry.sparse = pieces or ((state.st_size, 0),)
                entry.full_size = state.st_size
                entry.size = sum(length for _offset, length in pieces)
            self._write(entry)
            if entry.sparse is not None:
                self._out.write(sparse_map(entry))
            for offset, length in pieces:
                self._copy(file, offset, length)
            self._out.write(padding(entry.size))
        finally:
            os.close(file)
        self.counts.files += 1
        self.counts.content_bytes += state.st_size

    def _take_attributes(self, entry: TarEntry, attributes: list[str], get: "_Getter") -> None:
        """Let an entry have the attributes that a layer carries."""
        if not attributes:
            return
        if any(each in attributes for each in _REDIRECTS):
            raise StepFailed(f"pack {shown(entry.path)}", "overlayfs holds it by reference")
        entry.xattrs = kept_attributes(attributes, get)
        self.counts.left_out += sum(not may_stay(each) for each in attributes)

    def _copy(self, file: int, offset: int, length: int) -> None:
        """Copy what the header promised; zeros where a running container took it away."""
        end = offset + length
        while offset < end:
            chunk = os.pread(file, min(_CHUNK, end - offset), offset)
            chunk = chunk or bytes(min(_CHUNK, end - offset))
            self._out.write(chunk)
            offset += len(chunk)

    def _whiteout(self, path: bytes) -> None:
        self._write(TarEntry(REGULAR, path, b"", 0o600, 0, 0, 0, 0, 0, 0))
        self.counts.whiteouts += 1

    def _write(self, entry: TarEntry) -> None:
        self._out.write(header(entry))
        self.counts.entries += 1

    @contextlib.contextmanager
    def _opened(self, path: bytes, flags: int) -> Iterator[int]:
        try:
            descriptor = open_in_root(self._root, path or b".", flags | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise StepFailed(f"pack {shown(path)}", "its path is too long") from error
            raise
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def is_empty(directory: int, name: bytes, state: os.stat_result) -> bool:
    """Whether a name is an empty file or an empty directory. Raises: OSError."""
    if not stat.S_ISDIR(state.st_mode):
        return stat.S_ISREG(state.st_mode) and state.st_size == 0
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(name, flags, dir_fd=directory)
    try:
        return not os.listdir(opened)
    finally:
        os.close(opened)


def entry_of(kind: bytes, path: bytes, state: os.stat_result) -> TarEntry:
    """An entry that says what stat(2) says."""
    is_device = kind in (CHARACTER_DEVICE, BLOCK_DEVICE)
    return TarEntry(
        kind,
        path,
        b"",
        stat.S_IMODE(state.st_mode),
        state.st_uid,
        state.st_gid,
        state.st_size if kind == REGULAR else 0,
        state.st_mtime_ns,
        os.major(state.st_rdev) if is_device else 0,
        os.minor(state.st_rdev) if is_device else 0,
    )


class _Getter(Protocol):
    def __call__(self, name: str, /) -> bytes | None: ...


def kept_attributes(attributes: list[str], get: _Getter) -> dict[str, bytes]:
    """The attributes that a layer carries, with their values."""
    kept = {}
    for name in filter(is_kept_attribute, attributes):
        value = get(name)
        if value is not None:
            kept[name] = value
    return kept


def is_kept_attribute(name: str) -> bool:
    """Whether a layer carries an attribute: capabilities, ACLs and users' own."""
    is_plain = name.startswith("user.") and not name.startswith(_STACKING_ATTRIBUTES)
    return is_plain or name == xattrs.CAPABILITY or name.startswith("system.posix_acl_")


def may_stay(name: str) -> bool:
    """Whether a layer's file may have an attribute: one that is carried, overlayfs's own, or one
    that the kernel gives to every file itself."""
    return name.startswith((xattrs.OVERLAY_PREFIX, "security.")) or is_kept_attribute(name)


def data_in(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each piece that is not a hole (lseek(2), SEEK_DATA)."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = min(os.lseek(file, start, os.SEEK_HOLE), size)
        if start < end:
            yield start, end - start
