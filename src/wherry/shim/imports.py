"""No imports after the fork: a file that is found then might be the container's, not ours."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _NoImports:
    """An importer that refuses."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises: ImportError, always."""
        raise ImportError(f"{name} was not preloaded by the spawner", name=name)


_FINDERS: list[Any] = []
"""What finds modules where imports are allowed."""


def forbid_imports() -> None:
    """Make each import of a module that is not loaded yet fail."""
    _FINDERS[:] = sys.meta_path
    sys.meta_path[:] = [_NoImports()]


def allow_imports() -> None:
    """For a process that never enters a container: what it finds is ours."""
    sys.meta_path[:] = _FINDERS
