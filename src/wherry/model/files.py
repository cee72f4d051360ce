"""Files in a container, as somebody outside asks for them."""

from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PathState:
    """What is under a path in a container."""

    name: str
    """The last part of the path as it was asked for."""
    size_bytes: int
    mode: int
    """As stat(2) has it: kind and permissions."""
    modified_at_ns: int
    link_target: str = ""
    """Where a symbolic link leads in the container, all the way; empty for what is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRules:
    """How an archive is unpacked into a container."""

    keeps_kinds: bool = False
    """A directory is never replaced by something else, nor the other way round."""
    gives_to_user: bool = False
    """Everything belongs to the container's user, instead of whom the archive says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """A file of a client's, as it tells of it; what is in it comes later, if it is wanted."""

    path: str
    """Below the top of what is sent, with `/` between its parts."""
    mode: int
    """As stat(2) has it: kind and permissions."""
    size: int = 0
    modified_ns: int = 0
    link: str = ""
    """Where a symbolic link leads; of a regular file, the other name that was sent before."""
    capabilities: bytes = b""
    """Those of a program, as the kernel keeps them (`security.capability`); empty for none."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between a container's files and its image's."""

    path: str
    kind: int
    """Docker's numbers: 0 changed, 1 added, 2 deleted."""


CHANGED, ADDED, DELETED = 0, 1, 2
