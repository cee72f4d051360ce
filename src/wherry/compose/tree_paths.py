"""Rules by place in a document: `services.*.ports` and the like."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from wherry.compose.yaml_source import Path

Rule = TypeVar("Rule")


class PathTable(Generic[Rule]):
    """What applies at which place; `*` stands for any one key or index."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._by_length: dict[int, list[tuple[Path, Rule]]] = {}
        for pattern, rule in rules.items():
            parts = tuple(pattern.split("."))
            self._by_length.setdefault(len(parts), []).append((parts, rule))

    def at(self, path: Path) -> Rule | None:
        """The rule of a place; None when it has none."""
        for pattern, rule in self._by_length.get(len(path), ()):
            if all(part in ("*", key) for part, key in zip(pattern, path, strict=True)):
                return rule
        return None
