"""Roots that a start makes. One that fails takes them back: a wrong flag leaves nothing behind.

What was there before stays as it is, and so does everything once the engine has been ready.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence

from wherry.kit.directories import remove_directory


class NewRoots:
    """Which of an engine's directories are not there yet; it has to be asked before they are."""

    def __init__(self, *, data_root: str, exec_root: str, others: Sequence[str]) -> None:
        """`others`: directories that only files of other names are in, such as a pid file."""
        self._data_root = "" if os.path.lexists(data_root) else data_root
        self._exec_root = "" if os.path.lexists(exec_root) else exec_root
        self._made = [each for path in (data_root, exec_root, *others) for each in _missing(path)]
        self._stays = False

    def keep(self) -> None:
        """The engine is ready: from here on all of it is used."""
        self._stays = True

    @contextlib.contextmanager
    def emptied(self) -> Iterator[None]:
        """Take back what a block that fails made in them. Who runs it holds the data root."""
        try:
            yield
        except BaseException:
            if not self._stays:
                if self._data_root:
                    with contextlib.suppress(OSError):
                        remove_directory(self._data_root)
                for directory, _, _ in os.walk(self._exec_root, topdown=False):
                    _remove_if_empty(directory)
            raise

    @contextlib.contextmanager
    def taken_back(self) -> Iterator[None]:
        """Take back the directories themselves, when a block fails and they are empty."""
        try:
            yield
        except BaseException:
            if not self._stays:
                for path in self._made:
                    _remove_if_empty(path)
            raise


def _missing(path: str) -> Iterator[str]:
    """The parts of a path that are not there, the deepest first."""
    while path and not os.path.lexists(path):
        yield path
        path = os.path.dirname(path)


def _remove_if_empty(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(path)
