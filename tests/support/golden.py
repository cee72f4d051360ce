"""Golden files: results that are reviewed as code, and renewed by `pytest --update-golden`."""

import json
from collections.abc import Callable
from pathlib import Path

GOLDEN_DIRECTORY = Path(__file__).parents[1] / "golden"

Golden = Callable[[str, object], None]
"""Compare a value with the golden file of a name such as `specgen/default`."""


def compare(name: str, value: object, *, update: bool) -> None:
    """Assert that a JSON value is what the golden file says, or make the file say so."""
    path = GOLDEN_DIRECTORY / f"{name}.json"
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    assert path.exists(), f"{path} is missing; pytest --update-golden makes it"
    assert value == json.loads(path.read_text())
