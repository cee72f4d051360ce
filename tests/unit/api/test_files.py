"""The state of a path as the client of a copy reads it."""

import base64
import json
import stat

import pytest

from wherry.api.translate.files import to_go_mode, to_stat_header
from wherry.model.files import PathState


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
    """Kinds and special bits are where Go has them."""
    assert to_go_mode(mode) == written


def test_header() -> None:
    """The header is JSON in base 64, with Docker's small names."""
    state = PathState(
        name="x", size_bytes=3, mode=stat.S_IFREG | 0o600, modified_at_ns=0, link_target="/y"
    )
    assert json.loads(base64.b64decode(to_stat_header(state))) == {
        "name": "x", "size": 3, "mode": 0o600, "mtime": "1970-01-01T00:00:00Z",
        "linkTarget": "/y",
    }  # fmt: skip
