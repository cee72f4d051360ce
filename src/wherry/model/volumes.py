"""Named and anonymous volumes: directories that outlive containers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.model.ids import ContainerId

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
"""What Docker puts on a volume that nobody named; a prune goes by it."""
LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """A volume as somebody wishes for it."""

    name: str = ""
    """Empty: a name is made up, and the volume is anonymous."""
    driver: str = ""
    """Empty: `local`, or whatever driver a volume of this name has already."""
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume that exists."""

    name: str
    driver: str
    mount_point: str
    """Where its files are on the host; empty while a driver of its own has not mounted it."""
    created_at_ns: int
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody gave it its name."""
        return ANONYMOUS_LABEL in self.labels


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeUsage:
    """What a volume holds and who needs it."""

    volume: Volume
    size_bytes: int
    """-1 where it can't be told without mounting it."""
    users: tuple[ContainerId, ...]
    """The containers that have it, running or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePrune:
    """What a prune took away."""

    deleted: tuple[str, ...] = ()
    reclaimed_bytes: int = 0
