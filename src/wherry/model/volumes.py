"""Named and anonymous volumes: directories that outlive containers."""

from collections.abc import Mapping
from enum import Enum

from wherry.kit.values import dataclass, field
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
    scope: str = LOCAL
    """`global` where a plugin says that other hosts know it too."""
    status: bytes = b""
    """What a plugin has to say of it, when it is asked: a JSON object; never stored."""

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


class SnapshotMethod(Enum):
    """How a volume's snapshot was taken; the value is what people read."""

    BTRFS = "btrfs snapshot"
    """At one moment, whoever writes; its blocks are shared."""
    REFLINK = "reflink copy"
    """File by file; the blocks are shared."""
    COPY = "copy"
    """File by file, byte by byte."""
    MOVED = "put aside"
    """The very files that the volume had, when something else took their place."""


class Consistency(Enum):
    """What is done with the containers that run with a volume while it is copied."""

    NONE = "none"
    """They go on."""
    PAUSE = "pause"
    """They are frozen meanwhile: what they hold in memory is not in it."""
    STOP = "stop"
    """They are stopped before, so that they can write down what they have, and started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSnapshot:
    """How a volume was once."""

    volume: str
    name: str
    created_at_ns: int
    method: SnapshotMethod
    consistency: Consistency
    writers: tuple[str, ...] = ()
    """Names of the containers that went on writing while it was taken."""
    files: int = -1
    """-1 where nobody counted: a snapshot of btrfs looks at no file."""
    size_bytes: int = -1
