"""What the engine keeps on the disk, and how a container's root stands on it."""

import stat
from pathlib import Path

import pytest

from support.daemon import Engine

pytestmark = pytest.mark.stock_differs


def test_who_may_look_into_the_data_root(engine: Engine) -> None:
    """Nobody but root can list anything, and only what a container's user must pass through to
    what is mounted for it can be passed."""
    engine.docker_ok("volume", "create", "kept")
    engine.docker_ok("run", "--name", "made", "-v", "kept:/d", "busybox", "touch", "/file")
    root = engine.data_root
    assert stat.S_IMODE(root.stat().st_mode) == 0o710
    for place in filter(Path.is_dir, root.iterdir()):
        assert not stat.S_IMODE(place.stat().st_mode) & 0o026, place
    for place in ("containers", "overlay2", "content/blobs/sha256"):
        assert stat.S_IMODE((root / place).stat().st_mode) == 0o710, place
    snapshot = root / "overlay2" / engine.inspect("made")["Id"]
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o710
    engine.remove_all_containers()
    engine.docker_ok("volume", "rm", "kept")


def test_a_write_that_is_synced_is_on_the_disk(engine: Engine) -> None:
    """No container's overlay is `volatile`, where fsync(2) would mean nothing."""
    look = ("grep", " / / ", "/proc/self/mountinfo")
    for flags in ((), ("--read-only",), ("--privileged",)):
        mount = engine.docker_ok("run", "--rm", *flags, "busybox", *look)
        assert " - overlay overlay " in mount
        assert "volatile" not in mount
