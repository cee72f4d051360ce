"""COPY and ADD: files of a context, a stage or an image, put into a snapshot.

Everything goes by descriptors. Sources are found below the root that they come from, targets
below the root of the snapshot, and the kernel resolves every link as if that root were all there
is (`linux.files.open_in_root`), so that neither a context nor an image can lead outside.
"""

import os
import posixpath
import re
import stat
import tempfile
from dataclasses import dataclass
from typing import BinaryIO

from wherry.build.trees import CopiedTar, Tree
from wherry.kit.path_patterns import Ignore
from wherry.linux.files import open_in_root
from wherry.model.errors import ArchiveRefused, InvalidValue
from wherry.operations import targets
from wherry.snapshots import (
    Compression,
    TarReader,
    UnpackRules,
    compression_of,
    decompressed,
    directory_tar,
    entry_tar,
    unpack_tar,
)

_MODE = re.compile(r"[0-7]{1,4}")
_NOTHING = Ignore(())
_MAGIC_AT, _MAGIC = 257, b"ustar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be put where."""

    instruction: str
    target: str
    """Absolute; with a slash at its end where a directory is meant."""
    owner: tuple[int, int] | None
    mode: int | None = None
    keeps_parents: bool = False
    excluded: tuple[str, ...] = ()
    unpacks: bool = False
    """Local archives are unpacked (ADD)."""


def mode_of(text: str) -> int | None:
    """The permissions of `--chmod`. Raises: InvalidValue."""
    if not text:
        return None
    if not _MODE.fullmatch(text):
        raise InvalidValue(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
        )
    return int(text, 8)


def copy_paths(root: int, tree: Tree, paths: list[str], wish: Wish) -> None:
    """Put what is under some paths into a snapshot. Raises: InvalidValue, ArchiveRefused."""
    is_directory_wanted = wish.target.endswith("/")
    if len(paths) > 1 and not is_directory_wanted:
        raise InvalidValue(
            f"When using {wish.instruction} with more than one source file, the destination must "
            "be a directory and end with a /"
        )
    for path in paths:
        _copy_one(root, tree, path, wish)


def copy_inline(root: int, name: str, content: bytes, wish: Wish) -> None:
    """Put a here-document into a snapshot."""
    with tempfile.TemporaryDirectory() as place:
        file = os.path.join(place, name)
        with open(file, "wb") as out:
            out.write(content)
        os.chmod(file, 0o644)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _copy_one(root, Tree(descriptor, _NOTHING), name, wish)
        finally:
            os.close(descriptor)


def _copy_one(root: int, tree: Tree, path: str, wish: Wish) -> None:
    source = open_in_root(tree.root, path or ".", os.O_PATH)
    try:
        is_directory = stat.S_ISDIR(os.fstat(source).st_mode)
    finally:
        os.close(source)
    target = wish.target
    if wish.keeps_parents:
        parents = path if is_directory else posixpath.dirname(path)
        target = posixpath.join(target, parents) + "/"
    if is_directory:
        _copy_directory(root, tree, path, target, wish)
        return
    if wish.unpacks and _unpacked(root, tree, path, target, wish):
        return
    _copy_file(root, tree, path, target, wish)


def _copy_directory(root: int, tree: Tree, path: str, target: str, wish: Wish) -> None:
    """What is in a directory; the directory itself only where the target is not there."""
    with tempfile.TemporaryFile() as packed:
        directory = open_in_root(tree.root, path or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            directory_tar(directory, b"./", packed)
        finally:
            os.close(directory)
        packed.seek(0)
        _make_directory(root, target, wish)
        _unpack(root, packed, target, tree, path, "./", wish)


def _copy_file(root: int, tree: Tree, path: str, target: str, wish: Wish) -> None:
    name = posixpath.basename(path)
    if target.endswith("/") or _is_directory(root, target):
        place = target
    else:
        place, name = posixpath.split(target)
    file = open_in_root(tree.root, path, os.O_PATH)
    try:
        # Where the path leads, without the link at its end.
        real = os.readlink(f"/proc/self/fd/{file}")
        base = os.readlink(f"/proc/self/fd/{tree.root}")
    finally:
        os.close(file)
    inside = posixpath.relpath(real, base)
    parent = open_in_root(tree.root, posixpath.dirname(inside) or ".", os.O_RDONLY)
    with tempfile.TemporaryFile() as packed:
        try:
            entry_tar(parent, os.fsencode(posixpath.basename(inside)), os.fsencode(name), packed)
        finally:
            os.close(parent)
        packed.seek(0)
        _make_directory(root, place, wish)
        _unpack(root, packed, place, Tree(tree.root, _NOTHING), "", "", wish)


def _unpacked(root: int, tree: Tree, path: str, target: str, wish: Wish) -> bool:
    """Unpack a file that is an archive; False for any other file."""
    with open(open_in_root(tree.root, path, os.O_RDONLY), "rb") as file:
        if not _is_archive(file):
            return False
        _make_directory(root, target, wish)
        try:
            place = os.fsencode(target.rstrip("/") or "/")
            rules = UnpackRules(owner=wish.owner if wish.mode is not None else None)
            unpack_tar(TarReader(decompressed(file)[1]), root, place, rules)
        except ArchiveRefused as error:
            raise InvalidValue(f"ADD failed: {path}: {error.problem}") from error
    return True


def _is_archive(file: BinaryIO) -> bool:
    head = file.read(512)
    file.seek(0)
    if compression_of(head[:16]) is not Compression.NONE:
        try:
            head = decompressed(file)[1].read(512)
        except (ArchiveRefused, OSError, EOFError, ValueError):
            return False
        finally:
            file.seek(0)
    return head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def _unpack(
    root: int,
    packed: "tempfile._TemporaryFileWrapper[bytes] | BinaryIO",
    place: str,
    tree: Tree,
    origin: str,
    prefix: str,
    wish: Wish,
) -> None:
    archive = CopiedTar(
        packed, tree=tree, origin=origin, prefix=prefix, excluded=wish.excluded, mode=wish.mode
    )
    rules = UnpackRules(owner=wish.owner, keeps_kinds=True)
    unpack_tar(archive, root, os.fsencode(place.rstrip("/") or "/"), rules)


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
    directory, _made = targets.open_directory(root, missing[0])
    os.close(directory)
    if wish.owner is not None:
        for each in missing:
            directory = open_in_root(root, each, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fchown(directory, *wish.owner)
            finally:
                os.close(directory)
