"""fsutil.types: files as they travel between a client and its builder.

The side that has files tells of each of them (STAT, in the order of a walk, an empty one at the
end); the other asks for the contents that it wants by number (REQ), and gets them in pieces, an
empty one last (DATA). FIN goes both ways at the end, ERR when there is none.
"""

from typing import Annotated

from wherry.wire.protobuf import Message

STAT, REQ, DATA, FIN, ERR = range(5)

MODE_DIRECTORY = 1 << 31
MODE_SYMLINK = 1 << 27
MODE_DEVICE = 1 << 26
MODE_FIFO = 1 << 25
MODE_SOCKET = 1 << 24
MODE_SETUID = 1 << 23
MODE_SETGID = 1 << 22
MODE_CHARACTER_DEVICE = 1 << 21
MODE_STICKY = 1 << 20
MODE_PERMISSIONS = 0o777
"""Go's os.FileMode."""


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


class Packet(Message):
    """One message of a transfer."""

    type: Annotated[int, 1] = STAT
    stat: Annotated[Stat | None, 2] = None
    ID: Annotated[int, 3] = 0
    data: Annotated[bytes, 4] = b""


class BytesMessage(Message):
    """A piece of a stream."""

    data: Annotated[bytes, 1] = b""
