"""docs/run-flags.md is complete and true: every flag of the client has a row and its test."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"\| `--(?P<flag>[a-z0-9-]+)`[^|]*\|[^|]*\| (?P<shown>[^|]+) \|")
_TEST = re.compile(r"`(?P<module>test_\w+\.py)::(?P<test>test_\w+)`")
_FUTURE = re.compile(r"[a-z ]+ \(Part [0-9]\)")

ROWS = dict(_ROW.findall((ROOT / "docs" / "run-flags.md").read_text()))


@pytest.mark.parametrize("command", ["run", "create"])
def test_every_flag_has_a_row(command: str) -> None:
    """The client on this machine is asked for its flags."""
    told = subprocess.run(
        ["docker", command, "--help"], capture_output=True, text=True, check=True
    )
    flags = re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", told.stdout, re.MULTILINE)
    assert len(flags) > 90
    assert [flag for flag in flags if flag not in ROWS] == []


@pytest.mark.parametrize("flag", ROWS)
def test_every_row_names_a_test_or_a_part(flag: str) -> None:
    """The test exists in the module that the row names."""
    named = _TEST.fullmatch(ROWS[flag])
    if named is None:
        assert _FUTURE.fullmatch(ROWS[flag]), ROWS[flag]
        return
    tree = ast.parse((ROOT / "tests" / "parity" / named["module"]).read_text())
    functions = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    assert named["test"] in functions
