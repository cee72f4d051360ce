"""pb.SourceInfo and its kin: places in a Dockerfile."""

from typing import Annotated

from wherry.wire.protobuf import Message


class Position(Message):
    """A line, counted from 1."""

    line: Annotated[int, 1] = 0
    character: Annotated[int, 2] = 0


class Range(Message):
    """Lines, both included."""

    start: Annotated[Position | None, 1] = None
    end: Annotated[Position | None, 2] = None


class SourceInfo(Message):
    """A whole file."""

    filename: Annotated[str, 1] = ""
    data: Annotated[bytes, 2] = b""
    language: Annotated[str, 4] = ""
