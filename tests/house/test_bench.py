"""The benchmark keeps up with the house."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.mark.parametrize("program", ["bench.py", "runtimes.py"])
def test_a_benchmark_finds_all_that_it_measures(program: str) -> None:
    """What it imports is still where it says."""
    ran = subprocess.run(
        [sys.executable, BENCH / program, "--help"], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
