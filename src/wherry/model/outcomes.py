"""How verbs ended, where more than one end is a good one."""

from collections.abc import Mapping
from enum import Enum

from wherry.kit.values import dataclass, field
from wherry.model.ids import ContainerId


class StartOutcome(Enum):
    """How a start went."""

    STARTED = "started"
    ALREADY_RUNNING = "already running"


class StopOutcome(Enum):
    """How a stop went."""

    STOPPED = "stopped"
    ALREADY_STOPPED = "already stopped"


class WaitCondition(Enum):
    """What `wait` waits for."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOutcome:
    """A container was created."""

    container_id: ContainerId
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What an image removal did, in order: one of the two is set in each step."""

    untagged: str = ""
    deleted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedContainers:
    """Containers that went because nobody used them."""

    deleted: tuple[ContainerId, ...]
    freed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedImages:
    """Names, images and layers that went because nobody used them, in that order for each."""

    removals: tuple[Removal, ...]
    freed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedNetworks:
    """Networks, by name, that went because nobody was on them."""

    deleted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedTag:
    """What a push left in a registry."""

    tag: str
    digest: str
    size_bytes: int
    """Of the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One message of a long answer; becomes a line of Docker's JSON stream."""

    stream: str = ""
    """Plain output, with its newline."""
    status: str = ""
    id: str = ""
    current: int | None = None
    total: int | None = None
    error: str = ""
    error_code: int | None = None
    """The exit code of a build step."""
    trace: bytes = b""
    """What BuildKit's clients read: a piece of a build's story, as they have it encoded."""
    built: str = ""
    """The id of an image that a build has made."""
    received: str = ""
    """The id of an image that has come with an archive; told to no client."""
    digest: str = ""
    """Of the manifest or index that leads to what was built."""
    said: Mapping[str, str] = field(default_factory=dict)
    """What else is said of it, under BuildKit's names."""
    output: tuple[int, bytes] | None = None
    """A piece of a result that a build makes for its client, and which result it is of."""
    pushed: PushedTag | None = None
