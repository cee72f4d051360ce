"""RELIABILITY row 10 (R03, R05, R06, R09): mount targets exchanged for links during starts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.mutants import RESOLVED_BY_THE_HOST, mutated_source
from support.proof_size import Size

TESTS = Path(__file__).resolve().parents[1]
STARTS = {"volume": 2000, "null": 700, "console": 700, "hosts": 700}
SAMPLES = {"volume": 40, "null": 20, "console": 20, "hosts": 20}


def raced(source: Path, scenario: str, starts: int, probe: Path) -> Any:
    """The outcome of a scenario with this source tree."""
    done = subprocess.run(
        [sys.executable, "-P", TESTS / "support" / "mount_races.py", scenario, str(starts), probe],
        env={**os.environ, "PYTHONPATH": f"{source}:{TESTS}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("scenario", STARTS)
def test_races(scenario: str, probe: Path, size: Size, figure: list[str]) -> None:
    """Nothing outside of the root is touched, whatever the moment of the exchange."""
    starts = size.of(STARTS[scenario], SAMPLES[scenario])
    outcome = raced(TESTS.parent / "src", scenario, starts, probe)
    figure.append(
        f"{outcome['starts']} starts, {outcome['refused']} refused,"
        f" {len(outcome['escapes'])} escapes"
    )
    assert outcome["escapes"] == []
    assert outcome["refused"] < starts, "no start at all came through"


def test_race_mutant(probe: Path, figure: list[str]) -> None:
    """Without the root's own resolution a link leads to the host."""
    with mutated_source((RESOLVED_BY_THE_HOST,)) as source:
        outcome = raced(source, "volume", 200, probe)
    figure.append(f"killed: {RESOLVED_BY_THE_HOST.name} ({outcome['escapes'][:1]})")
    assert outcome["escapes"]
