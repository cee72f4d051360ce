"""Modes of files as Go writes them."""

import stat

import pytest

from wherry.wire.go_modes import go_mode, stat_mode


@pytest.mark.parametrize(
    ("mode", "written"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFLNK | 0o777, 1 << 27 | 0o777),
        (stat.S_IFREG | 0o6755, 1 << 23 | 1 << 22 | 0o755),
        (stat.S_IFCHR | 0o600, 1 << 26 | 1 << 21 | 0o600),
        (stat.S_IFBLK | 0o600, 1 << 26 | 0o600),
        (stat.S_IFIFO | 0o600, 1 << 25 | 0o600),
        (stat.S_IFSOCK | 0o600, 1 << 24 | 0o600),
    ],
)
def test_modes(mode: int, written: int) -> None:
    """Kinds and special bits are where Go has them, and found there again."""
    assert go_mode(mode) == written
    assert stat_mode(written) == mode
