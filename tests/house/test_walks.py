"""The walks in the documents lead through rooms that exist."""

import ast
import re

import pytest

from support.source_tree import PACKAGE, REPOSITORY, Module

STEP = re.compile(r"^\| \d+ \| `([\w/]+\.py)` \| `(\w+)` \|", re.MULTILINE)
WALKS = sorted((REPOSITORY / "docs" / "walks").glob("*.md"))


@pytest.mark.parametrize("walk", WALKS, ids=lambda path: path.stem)
def test_every_step_exists(walk: object) -> None:
    """Each place is a file of the package, and each function is defined in it."""
    steps = STEP.findall(walk.read_text())  # type: ignore[attr-defined]
    assert len(steps) > 5
    missing = [
        f"{place}: {function}"
        for place, function in steps
        if not (PACKAGE / place).exists() or function not in _functions(Module(PACKAGE / place))
    ]
    assert not missing


def _functions(module: Module) -> set[str]:
    return {
        node.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
