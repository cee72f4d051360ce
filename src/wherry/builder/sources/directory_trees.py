"""A tree that is a directory: a stage's root, an image's, what a session has sent.

Everything goes by its descriptor, and the kernel resolves each link as if the directory were all
there is (`linux.files.open_in_root`), so that nothing in it leads outside.
"""

import os
import posixpath
import stat
from collections.abc import Sequence

from wherry.builder.sources.trees import Place
from wherry.linux.files import open_in_root
from wherry.snapshots import Archive, TreeReader


class DirectoryTree:
    """What is below the descriptor of a directory, which stays the caller's to close."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._path = os.readlink(f"/proc/self/fd/{root}")

    def lookup(self, path: str) -> Place | None:
        """What a path leads to."""
        try:
            found = open_in_root(self._root, path or ".", os.O_PATH)
        except (OSError, ValueError):
            return None
        try:
            real = posixpath.relpath(os.readlink(f"/proc/self/fd/{found}"), self._path)
            is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
        finally:
            os.close(found)
        return Place("" if real == "." else real, is_directory)

    def names(self, place: Place) -> Sequence[str]:
        """What a directory has. Raises: OSError."""
        directory = open_in_root(self._root, place.path or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.listdir(directory)
        finally:
            os.close(directory)

    def entries(self, place: Place) -> Archive:
        """What is at a place."""
        return TreeReader(self._root, place.path)
