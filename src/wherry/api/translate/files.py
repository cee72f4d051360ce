"""What is under a path in a container, as the client of a copy reads it."""

import base64
import stat
from collections.abc import Mapping

from wherry.kit.timestamps import rfc3339_nano
from wherry.model.files import PathState
from wherry.wire.encoding import encode
from wherry.wire.files import PathStat

STAT_HEADER = "X-Docker-Container-Path-Stat"

_KINDS: Mapping[int, int] = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_SPECIAL = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))
"""Go's bits of a file mode (https://pkg.go.dev/io/fs#FileMode)."""


def to_go_mode(mode: int) -> int:
    """The mode of stat(2) as Go writes it."""
    special = sum(bit for flag, bit in _SPECIAL if mode & flag)
    return _KINDS.get(stat.S_IFMT(mode), 0) | special | mode & 0o777


def to_stat_header(state: PathState) -> str:
    """The value of the header: JSON in base 64."""
    shape = PathStat(
        name=state.name,
        size=state.size_bytes,
        mode=to_go_mode(state.mode),
        mtime=rfc3339_nano(state.modified_at_ns),
        linkTarget=state.link_target,
    )
    return base64.b64encode(encode(shape).strip()).decode()
