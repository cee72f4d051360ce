"""Files of containers: the state of a path, and what changed."""

from msgspec import Struct


class PathStat(Struct):
    """What is under a path; these names are small letters in Docker, too."""

    name: str
    size: int
    mode: int
    mtime: str
    linkTarget: str


class ChangeItem(Struct):
    """One difference between a container's files and its image's."""

    Path: str
    Kind: int


class CommitAnswer(Struct):
    """An image was made."""

    Id: str
