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
