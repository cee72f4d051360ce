"""A box for tests that need no engine."""

import os
from pathlib import Path

import pytest

from support.containers import Box
from wherry.runtime.preload import preload


@pytest.fixture
def box(tmp_path: Path, request: pytest.FixtureRequest) -> Box:
    """A root file system with busybox, and Docker's defaults."""
    preload()
    return Box(tmp_path, f"u{os.getpid()}-{abs(hash(request.node.name)) % 10**8}")
