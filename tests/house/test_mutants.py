"""The guards that proofs take out are in the source, each exactly once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.source_tree import REPOSITORY

_PLACES = ("name", "file", "guard", "without")


def _mutants() -> Iterator[tuple[str, str, str]]:
    """Where a mutant is told, the file that it changes, and the text that it takes out there."""
    for path in sorted(Path(REPOSITORY, "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "Mutant":
                continue
            told = dict(zip(_PLACES, node.args, strict=False))
            told |= {each.arg: each.value for each in node.keywords if each.arg}
            if "guard" in told:
                file, guard = (ast.literal_eval(told[place]) for place in ("file", "guard"))
                yield f"{path.relative_to(REPOSITORY)}:{node.lineno}", file, guard


@pytest.mark.parametrize(
    ("file", "guard"), [pytest.param(*rest, id=where) for where, *rest in _mutants()]
)
def test_a_guard_is_where_its_mutant_says(file: str, guard: str) -> None:
    """Otherwise `make proof` alone would notice that nothing shows any more that it can fail."""
    text = Path(REPOSITORY, "src/wherry", file).read_text()
    assert text.count(guard) == 1
