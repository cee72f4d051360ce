"""fsutil.types: files as they travel between a client and its builder.

The side that has files tells of each of them (STAT, in the order of a walk, an empty one at the
end); the other asks for the contents that it wants by number (REQ), and gets them in pieces, an
empty one last (DATA). FIN goes both ways at the end, ERR when there is none.
"""

import os
import stat
from typing import Annotated

from wherry.wire.go_modes import go_mode
from wherry.wire.protobuf import Message

STAT, REQ, DATA, FIN, ERR = range(5)


class Stat(Message):
    """One file."""

    path: Annotated[str, 1] = ""
    mode: Annotated[int, 2] = 0
    uid: Annotated[int, 3] = 0
    gid: Annotated[int, 4] = 0
    size: Annotated[int, 5] = 0
    modTime: Annotated[int, 6] = 0
    """In nanoseconds since 1970."""
    linkname: Annotated[str, 7] = ""
    devmajor: Annotated[int, 8] = 0
    devminor: Annotated[int, 9] = 0
    xattrs: Annotated[dict[str, bytes], 10] = {}


def stat_of(path: str, state: os.stat_result, link: str) -> Stat:
    """A file as whoever has it tells of it.

    `link`: where a symbolic link leads, or the other name that was told of the same file.
    """
    is_device = stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode)
    return Stat(
        path=path,
        mode=go_mode(state.st_mode),
        uid=state.st_uid,
        gid=state.st_gid,
        size=state.st_size if stat.S_ISREG(state.st_mode) else 0,
        modTime=state.st_mtime_ns,
        linkname=link,
        devmajor=os.major(state.st_rdev) if is_device else 0,
        devminor=os.minor(state.st_rdev) if is_device else 0,
    )


class Packet(Message):
    """One message of a transfer."""

    type: Annotated[int, 1] = STAT
    stat: Annotated[Stat | None, 2] = None
    ID: Annotated[int, 3] = 0
    data: Annotated[bytes, 4] = b""


class BytesMessage(Message):
    """A piece of a stream."""

    data: Annotated[bytes, 1] = b""
