"""Copying trees of files whole: with owners, times, attributes, hard links, devices and holes.

The copying itself is cp(1)'s, which shares the blocks where the file system can. What it does
not know are overlayfs's marks: a 0:0 device that hides a name, a directory that hides all below
it (overlayfs.rst, "whiteouts and opaque directories").
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator

from wherry.linux import xattrs
from wherry.linux.files import open_directory

_COPY = ("cp", "-a", "--reflink=auto", "--sparse=auto", "--remove-destination", "--")


def add_layer(layer: str, target: str) -> None:
    """Put a layer's directory on top of a merged tree. Raises: OSError."""
    hidden = []
    for path, state in walk(layer):
        place = f"{target}/{path}"
        if _is_whiteout(state):
            hidden.append(place)
            _remove(place)
        elif (
            not _is_directory(place)
            or not stat.S_ISDIR(state.st_mode)
            or is_opaque(f"{layer}/{path}")
        ):
            _remove(place)
    copy_tree(layer, target)
    for place in hidden:
        os.unlink(place)
    for path, state in walk(layer):
        if stat.S_ISDIR(state.st_mode):
            clear_marks(f"{target}/{path}")


def copy_tree(source: str, target: str) -> None:
    """Copy what is in one directory into another that exists. Raises: OSError."""
    ran = subprocess.run(
        [*_COPY, f"{source}/.", f"{target}/"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        check=False,
    )
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        raise OSError(0, f"cp: {said[-1] if said else ran.returncode}")


def is_opaque(path: str) -> bool:
    """Whether a directory of a layer hides what lies below it."""
    with open_directory(path) as directory:
        return xattrs.get(directory, xattrs.OVERLAY_OPAQUE) == b"y"


def clear_marks(path: str) -> None:
    """Take overlayfs's attributes off a directory."""
    with open_directory(path) as directory:
        for name in xattrs.list_of(directory):
            if name.startswith(xattrs.OVERLAY_PREFIX):
                os.removexattr(directory, name)


def walk(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Relative path and state of everything below, directories before what is in them."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(f"{root}/{inside}") as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                path = f"{inside}/{entry.name}" if inside else entry.name
                state = entry.stat(follow_symlinks=False)
                yield path, state
                if stat.S_ISDIR(state.st_mode):
                    waiting.append(path)


def _is_whiteout(state: os.stat_result) -> bool:
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == 0


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _remove(path: str) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
