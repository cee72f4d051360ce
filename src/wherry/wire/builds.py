"""Shapes of builds: what a query may hold as JSON, and the rows of the build cache."""

from msgspec import Struct, field


class Output(Struct):
    """One of `outputs`."""

    Type: str
    Attrs: dict[str, str] = field(default_factory=dict)


class CacheRow(Struct):
    """A row of the build cache, as `docker system df -v` shows it."""

    ID: str
    Type: str
    Description: str
    InUse: bool
    Shared: bool
    Size: int
    CreatedAt: str
    LastUsedAt: str
    UsageCount: int
    Parents: list[str] | None = None


class BuildCause(Struct):
    """One cause for which a step ran."""

    Kind: str
    """`file-changed`, `argument`, `base`, ...: what made the difference."""
    Subject: str = ""
    Before: str = ""
    Now: str = ""


class BuildStep(Struct):
    """One step of a build: `GET /wherry/builds/{id}/steps`."""

    Name: str
    Stage: str = ""
    Outcome: str = ""
    """`cached`, `ran`, `failed`, or `running`."""
    Started: float = 0.0
    Seconds: float = 0.0
    Bytes: int = 0
    """Of the layer that it has added."""
    Wasted: int = 0
    """Of these, what the result does not show; known of a build that was asked to say so."""
    Error: str = ""
    Needs: list[int] = field(default_factory=list)
    """The places of steps that had to be there before, in this list."""
    Causes: list[BuildCause] = field(default_factory=list)
