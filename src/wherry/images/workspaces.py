"""Directories for work under way, in `tmp` of the data root: nothing in them outlives it."""

import contextlib
import os
from collections.abc import Iterator

from wherry.linux.files import remove_tree


class Workspaces:
    """One directory for each piece of work."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o710, exist_ok=True)

    @contextlib.contextmanager
    def lent(self) -> Iterator[str]:
        """A directory of one's own for the length of a block, whatever happens in it."""
        name = os.urandom(8).hex()
        path = os.path.join(self._directory, name)
        os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            self._remove(name)

    def sweep(self) -> None:
        """At boot: throw away what was under way."""
        for name in os.listdir(self._directory):
            self._remove(name)

    def _remove(self, name: str) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(directory, name)
        finally:
            os.close(directory)
