"""Mount points that a step's mounts make, and that its layer must not have.

A mount needs something to be mounted on, so the runtime makes a directory or a file where there
is none. What was not there before, and is empty afterwards, is taken away before the layer is
made. All of it goes by descriptors below the stage's root, and no link on the way is followed:
a step that has put one in the place of a directory keeps it (CVE-2024-23652).
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import Sequence

from wherry.builder.sources.directory_trees import DirectoryTree
from wherry.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2


def missing_below(root: int, targets: Sequence[str]) -> list[str]:
    """The parts of targets that a root has not, the deepest first; relative to the root."""
    tree, missing = DirectoryTree(root), set[str]()
    for target in targets:
        path, ends = target.strip("/"), list[str]()
        while path and (place := tree.lookup(path)) is None:
            path, end = posixpath.split(path)
            ends.insert(0, end)
        if not ends:
            continue
        place = tree.lookup(path)
        reached = place.path if place is not None else path
        for end in ends:
            reached = f"{reached}/{end}" if reached else end
            missing.add(reached)
    return sorted(missing, key=lambda each: each.count("/"), reverse=True)


def remove_empty(root: int, paths: Sequence[str]) -> None:
    """Remove what is empty of some paths, in this order."""
    for path in paths:
        parent_path, name = posixpath.split(path)
        with contextlib.suppress(OSError):
            parent = openat2(
                root,
                parent_path or ".",
                os.O_RDONLY | os.O_DIRECTORY,
                resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
            )
            try:
                state = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    os.rmdir(name, dir_fd=parent)
                elif stat.S_ISREG(state.st_mode) and not state.st_size:
                    os.unlink(name, dir_fd=parent)
            finally:
                os.close(parent)
