"""What is under a path in a container, as the client of a copy reads it."""

import base64

from wherry.kit.timestamps import rfc3339_nano
from wherry.model.files import PathState
from wherry.wire.encoding import encode
from wherry.wire.files import PathStat
from wherry.wire.go_modes import go_mode

STAT_HEADER = "X-Docker-Container-Path-Stat"


def to_stat_header(state: PathState) -> str:
    """The value of the header: JSON in base 64."""
    shape = PathStat(
        name=state.name,
        size=state.size_bytes,
        mode=go_mode(state.mode),
        mtime=rfc3339_nano(state.modified_at_ns),
        linkTarget=state.link_target,
    )
    return base64.b64encode(encode(shape).strip()).decode()
