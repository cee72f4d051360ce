"""The source as data: modules with their rooms and syntax trees, for the tests of the house."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "wherry"

THIN_ROOMS = ("linux", "oci", "operations", "runtime", "logs", "shim", "netd")
"""Rooms that forked processes share; their modules are their faces. `kit` is like them."""

FACELESS_ROOMS = (*THIN_ROOMS, "kit", "model", "wire", "client", "programs")
"""Rooms whose modules may be imported one by one: vocabularies, thin rooms, and the client, of
which a command loads only the nouns that it needs."""


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package."""

    path: Path

    @property
    def name(self) -> str:
        """The dotted name."""
        parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def room(self) -> str:
        """The first part under `wherry`; empty for the package itself."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return _parse(self.path)

    def imports(self) -> Iterator[tuple[str, int]]:
        """Each module or name that is imported, as a dotted name, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    yield each.name, node.lineno
            elif isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    yield f"{node.module}.{each.name}", node.lineno

    def at(self, line: int) -> str:
        """A place to click on."""
        return f"{self.path.relative_to(REPOSITORY)}:{line}"


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def modules() -> list[Module]:
    """All modules of the package."""
    return [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def rooms() -> list[str]:
    """The rooms that exist."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
