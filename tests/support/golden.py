"""Golden files: results that are reviewed as code, renewed by `./dev golden --update`."""

import json
import os
from pathlib import Path

GOLDEN_DIRECTORY = Path(__file__).parents[1] / "golden"


def assert_golden(path: Path, text: str) -> None:
    """A text is what the golden file says, or with WHERRY_UPDATE_GOLDEN=1 becomes it."""
    if os.environ.get("WHERRY_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path} is missing; ./dev golden --update makes it"
    assert text == path.read_text()


def assert_golden_json(name: str, value: object) -> None:
    """The same for a JSON value and a name below the golden directory: `specgen/default`."""
    text = json.dumps(value, indent=1, sort_keys=True) + "\n"
    assert_golden(GOLDEN_DIRECTORY / f"{name}.json", text)
