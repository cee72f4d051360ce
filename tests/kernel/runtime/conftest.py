"""A box for each test, and no cgroup left behind by any of them."""

import contextlib
import glob
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.containers import Box
from wherry.runtime.preload import preload


@pytest.fixture(scope="session", autouse=True)
def preloaded() -> Iterator[None]:
    """As in the spawner: nothing is imported after a fork."""
    preload()
    yield
    for path in glob.glob("/sys/fs/cgroup/*/wherry-runtime-test"):
        with contextlib.suppress(OSError):
            os.rmdir(path)


@pytest.fixture
def box(tmp_path: Path, request: pytest.FixtureRequest) -> Box:
    """A root file system with busybox, and Docker's defaults."""
    return Box(tmp_path, f"t{os.getpid()}-{abs(hash(request.node.name)) % 10**8}")
