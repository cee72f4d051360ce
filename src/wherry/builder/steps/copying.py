"""COPY and ADD: files of a context, a stage or an image, put into a snapshot.

Everything goes by descriptors. Sources are found below the root that they come from, targets
below the root of the snapshot, and the kernel resolves every link as if that root were all there
is (`linux.files.open_in_root`), so that neither a context nor an image can lead outside.
"""

import errno
import io
import os
import posixpath
from collections.abc import Sequence

from wherry.builder.sources.permissions import Permissions
from wherry.builder.sources.trees import Renamed, View
from wherry.kit.values import dataclass
from wherry.linux.files import open_in_root
from wherry.linux.syscall import KernelError
from wherry.model.errors import InvalidValue
from wherry.model.errors.images import ArchiveRefused
from wherry.operations.files import targets
from wherry.snapshots import (
    REGULAR,
    TAR_END,
    Archive,
    Compression,
    TarEntry,
    TarReader,
    UnpackRules,
    compression_of,
    decompressed,
    tar_header,
    tar_padding,
    unpack_tar,
)

_HEAD_BYTES = 1 << 20
"""Enough of a compressed file to see the first header of a tar (bzip2: a block of 900 kB)."""
_MAGIC_AT, _MAGIC = 257, b"ustar"


@dataclass(frozen=True, slots=True)
class Pick:
    """A path, and where it is."""

    view: View
    path: str
    kept: str = ""
    """With `--parents`: as much of the path as is found again below the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be put where."""

    instruction: str
    target: str
    """Absolute; with a slash at its end where a directory is meant."""
    owner: tuple[int, int] | None
    permissions: Permissions | None = None
    excluded: tuple[str, ...] = ()
    unpacks: bool = False
    """Local archives are unpacked (ADD)."""
    made_at_ns: int = 0
    """The time of files that nobody has sent."""


def copy_paths(root: int, picks: Sequence[Pick], wish: Wish) -> None:
    """Put what is under some paths into a snapshot. Raises: InvalidValue, ArchiveRefused."""
    if len(picks) > 1 and not wish.target.endswith("/"):
        raise InvalidValue(
            f"When using {wish.instruction} with more than one source file, the destination must "
            "be a directory and end with a /"
        )
    for pick in picks:
        _copy_one(root, pick, wish)


def copy_inline(root: int, name: str, content: bytes, wish: Wish) -> None:
    """Put a here-document into a snapshot."""
    packed = io.BytesIO()
    entry = TarEntry(
        REGULAR, os.fsencode(name), b"", 0o644, 0, 0, len(content), wish.made_at_ns, 0, 0
    )
    packed.write(tar_header(entry) + content + tar_padding(len(content)) + TAR_END)
    packed.seek(0)
    _copy_file(root, TarReader(packed), name, wish.target, wish)


def opened_directory(root: int, path: str, in_the_way: str) -> tuple[int, int]:
    """A directory of a snapshot, made where it is missing, and how many were made.

    Raises: InvalidValue, which says `in_the_way`, where something else is on that way.
    """
    try:
        return targets.open_directory(root, path)
    except KernelError as error:
        if error.errno != errno.ENOTDIR:
            raise
        raise InvalidValue(in_the_way) from None


def _copy_one(root: int, pick: Pick, wish: Wish) -> None:
    view, path, target = pick.view, pick.path, wish.target
    place = view.place(path)
    if pick.kept:
        parents = pick.kept if place.is_directory else posixpath.dirname(pick.kept)
        target = posixpath.join(target, parents, "")
    if place.is_directory:
        # What is in it; the directory itself only where the target is not there.
        _make_directory(root, target, wish)
        _write(
            root,
            Renamed(view.entries(place, wish.excluded), permissions=wish.permissions),
            target,
            wish,
        )
    elif not (wish.unpacks and _unpacked(root, view.entries(place), path, target, wish)):
        _copy_file(root, view.entries(place), posixpath.basename(path), target, wish)


def _copy_file(root: int, archive: Archive, name: str, target: str, wish: Wish) -> None:
    if target.endswith("/") or _is_directory(root, target):
        place = target
    else:
        place, name = posixpath.split(target)
    _make_directory(root, place, wish)
    _write(root, Renamed(archive, name=name, permissions=wish.permissions), place, wish)


def _write(root: int, archive: Archive, place: str, wish: Wish) -> None:
    rules = UnpackRules(owner=wish.owner, keeps_kinds=True)
    unpack_tar(archive, root, os.fsencode(place.rstrip("/") or "/"), rules)


def _unpacked(root: int, file: Archive, path: str, target: str, wish: Wish) -> bool:
    """Unpack a file that is an archive; False for any other file."""
    for entry in file:
        if entry.kind != REGULAR or entry.sparse is not None:
            return False
        content = _Content(file)
        head = content.read(_HEAD_BYTES)
        if not _is_archive(head):
            return False
        _make_directory(root, target, wish)
        try:
            place = os.fsencode(target.rstrip("/") or "/")
            rules = UnpackRules(owner=wish.owner if wish.permissions is not None else None)
            content.push_back(head)
            unpack_tar(TarReader(decompressed(content)[1]), root, place, rules)
        except ArchiveRefused as error:
            raise InvalidValue(f"ADD failed: {path}: {error.problem}") from error
        return True
    return False


class _Content:
    """The content of an archive's present entry, as a file."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._ahead = b""

    def push_back(self, content: bytes) -> None:
        """Give these bytes once more."""
        self._ahead = content + self._ahead

    def read(self, size: int, /) -> bytes:
        """As many bytes as are there, `size` at most."""
        pieces = [self._ahead[:size]]
        self._ahead = self._ahead[size:]
        left = size - len(pieces[0])
        while left and (piece := self._archive.read_content(left)):
            pieces.append(bytes(piece))
            left -= len(piece)
        return b"".join(pieces)


def _is_archive(head: bytes) -> bool:
    """Whether a file that begins so is a tar, compressed or not."""
    if compression_of(head[:16]) is not Compression.NONE:
        try:
            head = decompressed(io.BytesIO(head))[1].read(512)
        except (ArchiveRefused, OSError, EOFError, ValueError):
            return False
    return head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def _is_directory(root: int, path: str) -> bool:
    try:
        os.close(open_in_root(root, path, os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def _make_directory(root: int, path: str, wish: Wish) -> None:
    """Make a directory and those above it; new ones belong to whom the files belong."""
    place = path.rstrip("/") or "/"
    missing = []
    while place != "/" and not _is_directory(root, place):
        missing.append(place)
        place = posixpath.dirname(place)
    if not missing:
        return
    in_the_way = f"failed to copy files: {path}: not a directory"
    directory, _made = opened_directory(root, missing[0], in_the_way)
    os.close(directory)
    if wish.owner is not None:
        for each in missing:
            directory = open_in_root(root, each, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fchown(directory, *wish.owner)
            finally:
                os.close(directory)
