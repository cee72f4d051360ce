"""The state of a path as the client of a copy reads it."""

import base64
import json
import stat

from wherry.api.translate.files import to_stat_header
from wherry.model.files import PathState


def test_header() -> None:
    """The header is JSON in base 64, with Docker's small names."""
    state = PathState(
        name="x", size_bytes=3, mode=stat.S_IFREG | 0o600, modified_at_ns=0, link_target="/y"
    )
    assert json.loads(base64.b64decode(to_stat_header(state))) == {
        "name": "x", "size": 3, "mode": 0o600, "mtime": "1970-01-01T00:00:00Z",
        "linkTarget": "/y",
    }  # fmt: skip
