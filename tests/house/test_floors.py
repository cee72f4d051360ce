"""The floors hold: imports go down only."""

import subprocess
import sys
from pathlib import Path

from support.source_tree import REPOSITORY


def test_import_contracts() -> None:
    """Every contract of .importlinter is kept."""
    linter = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [str(linter), "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
