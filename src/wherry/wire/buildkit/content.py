"""containerd.services.content.v1.Content: blobs of a client's OCI layouts."""

from typing import Annotated

from wherry.wire.protobuf import Message

STAT, WRITE, COMMIT = range(3)


class ReadContentRequest(Message):
    """A blob; zero for the size: until its end."""

    digest: Annotated[str, 1] = ""
    offset: Annotated[int, 2] = 0
    size: Annotated[int, 3] = 0


class ReadContentResponse(Message):
    """A piece of it."""

    offset: Annotated[int, 1] = 0
    data: Annotated[bytes, 2] = b""


class InfoRequest(Message):
    """Is there a blob?"""

    digest: Annotated[str, 1] = ""


class InfoResponse(Message):
    """There is."""


class WriteContentRequest(Message):
    """A piece of a blob on its way, or its end (COMMIT)."""

    action: Annotated[int, 1] = STAT
    ref: Annotated[str, 2] = ""
    """What the transfer is called."""
    total: Annotated[int, 3] = 0
    expected: Annotated[str, 4] = ""
    """The blob's digest."""
    offset: Annotated[int, 5] = 0
    data: Annotated[bytes, 6] = b""


class WriteContentResponse(Message):
    """How far it is."""

    action: Annotated[int, 1] = STAT
    offset: Annotated[int, 4] = 0
    total: Annotated[int, 5] = 0
    digest: Annotated[str, 6] = ""
