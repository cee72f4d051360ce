"""Builds: what is asked for, whichever door it came by, and what is told while it is done."""

from collections.abc import AsyncIterator, Mapping
from enum import Enum

from wherry.kit.values import dataclass, field
from wherry.model.build_causes import StepWhy
from wherry.model.build_inquiries import DescribedTarget, Inquiry, Outline
from wherry.model.limits import Limits
from wherry.model.networks import NetworkMode
from wherry.model.outcomes import Progress

PROXIES = frozenset(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)
"""Build arguments that need no ARG; they may have passwords, and are in no record or key."""


class OutputKind(Enum):
    """What becomes of a result. The values are BuildKit's words."""

    IMAGE = "image"
    """It is kept here, under its names, and pushed where `push` is said."""
    LOCAL = "local"
    TAR = "tar"
    OCI = "oci"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOutput:
    """One `--output`."""

    kind: OutputKind
    attributes: Mapping[str, str] = field(default_factory=dict)
    """As BuildKit has them: `name`, `push`, `compression`, `tar`, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStore:
    """One `--cache-from` or `--cache-to`."""

    kind: str
    """`inline`, `registry` or `local`."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """`ref` of a registry; `src` or `dest` of a directory; `mode` of an export."""


class PartKind(Enum):
    """What comes with a request."""

    CONTEXT = "context"
    SECRET = "secret"
    LAYOUT = "layout"
    """An OCI layout: a cache, or images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPart:
    """One part of a request's body: a context or a layout as a tar, or a secret."""

    kind: PartKind
    name: str
    """Of a context: empty for the main one."""
    pieces: AsyncIterator[bytes]


class HistoryForm(Enum):
    """In whose words an image's history tells of its steps."""

    CLASSIC = "classic"
    BUILDKIT = "buildkit"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """A build of one target. Where its files and secrets come from stands beside it (`ports`)."""

    dockerfile: str = "Dockerfile"
    """Where it is in the context."""
    remote: str = ""
    """The URL of a context that is elsewhere: a repository, a tar, or a Dockerfile alone."""
    names: tuple[str, ...] = ()
    """What the image is to be called, each with its tag or without."""
    target: str = ""
    """A stage by name or number; empty for the last one."""
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    """None: mentioned without a value."""
    labels: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    """None: the engine's own."""
    inquiry: Inquiry | None = None
    """A question about the Dockerfile; None: it is to be built."""
    only_plans: bool = False
    """Say what would be done, and do nothing."""
    measures: bool = False
    """Say at the end which bytes of layers the result does not show."""
    uses_cache: bool = True
    uncached_stages: tuple[str, ...] = ()
    """Stages that are built anew (`--no-cache-filter`)."""
    pulls_always: bool = False
    is_quiet: bool = False
    keeps_containers: bool = False
    """Leave the containers of RUN steps behind (`--rm=false`)."""
    squashes: bool = False
    """One layer for all that the build adds to its base (`--squash`)."""
    entitlements: frozenset[str] = frozenset()
    """What RUN may be granted: `network.host`, `security.insecure`."""
    outputs: tuple[BuildOutput, ...] = (BuildOutput(kind=OutputKind.IMAGE),)
    cache_imports: tuple[CacheStore, ...] = ()
    cache_exports: tuple[CacheStore, ...] = ()
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Named contexts: images by reference, and what a client offers on its session (`local:`);
    those with files come as parts where there is no session."""
    agents: Mapping[str, str] = field(default_factory=dict)
    """SSH agents that listen on this host: the paths of their sockets."""
    attests: Mapping[str, str] = field(default_factory=dict)
    """Attestations by type (`provenance`, `sbom`), each with its attributes as written."""
    network: NetworkMode = field(default_factory=NetworkMode)
    extra_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    shm_bytes: int = 0
    cgroup_parent: str = ""
    history: HistoryForm = HistoryForm.BUILDKIT
    discards_volumes: bool = False
    """What RUN writes to a declared volume is in no layer: to the classic builder each RUN was a
    container, with volumes of its own. BuildKit keeps it."""


# -- what is told ----------------------------------------------------------------------------


class Voice(Enum):
    """Whose words something is."""

    STDOUT = 1
    STDERR = 2
    BUILDER = 0
    """What the classic builder says of its containers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileFound:
    """The first event: the file is there, and perhaps wrong."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileRead:
    """The file is understood."""

    name: str
    arguments: tuple[str, ...]
    """ARG before the first FROM, as written: they are no steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlanned:
    """A step of the graph; told for all of them before the first one begins."""

    number: int
    """From zero, in an order that has each step behind what it needs."""
    label: str
    """The instruction as it was written; empty for a step that nobody wrote."""
    stage: str
    """The stage's name, or its number; empty for what belongs to none."""
    platform: str
    """What it is built for; empty in a build for one platform."""
    base: str
    """The name of the image that it begins with; empty for every other step."""
    line: int
    """In the Dockerfile; zero for what is not in it."""
    is_metadata: bool
    """It changes what the image says, and no file."""
    is_trigger: bool
    """The base's ONBUILD wants it."""
    needs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSkipped:
    """A stage that nothing wanted needs."""

    name: str
    """Or its number."""
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step that looks whether it was done before, and runs if it was not."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSaid:
    """What a step's command wrote, or what is told of it."""

    number: int
    text: str
    voice: Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A step came to its end."""

    number: int
    was_cached: bool = False
    error: Exception | None = None
    image_id: str = ""
    """What is there after it; empty where it failed or made nothing that has a name."""
    layer_bytes: int = 0
    """Of what it added; zero for a step that changed no file."""
    why: StepWhy | None = None
    """Why it ran (or would); None for one that need not say: from the cache, or a beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildWarned:
    """Something that a build does all the same."""

    text: str
    problem: Exception | None = None
    """What went wrong, where something did."""
    line: int = 0
    last_line: int = 0
    rule: str = ""
    """The check that found it; empty for what is no check's."""
    description: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDescribed:
    """The answer to an inquiry about targets (all there are) or an outline (of the one wanted)."""

    targets: tuple[DescribedTarget, ...] = ()
    outline: Outline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSought:
    """A base image is looked for, here and perhaps elsewhere."""

    reference: str
    platform: str
    """Empty in a build for one platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasePulled:
    """A base image on its way here."""

    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFound:
    """It is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanStarted:
    """A scanner is told to look at a result."""

    platform: str
    scanner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSaid:
    """Something that the scanner wrote meanwhile."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultScanned:
    """It has said what is in the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultMeasured:
    """The bytes of layers that a result does not show: written again, or removed, further up."""

    steps: Mapping[int, int]
    """Of what steps have added, by their numbers; those that hide nothing are left out."""
    base_bytes: int
    """Of the image that it was built on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPushed:
    """A result, or a cache, on its way to a registry."""

    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPiece:
    """A piece of a file that a build makes for its client."""

    number: int
    """Of the output, in the order of the request."""
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDone:
    """The last event of a build that succeeded."""

    image_id: str
    """The configuration's digest; empty where no image was made."""
    names: tuple[str, ...] = ()
    """As people write them, with their tags."""
    digest: str = ""
    """Of the manifest that leads to the image, or of the index that leads to several."""
    said: Mapping[str, str] = field(default_factory=dict)
    """What else is said of results, under the names that BuildKit's clients know."""


BuildEvent = (
    DockerfileFound
    | DockerfileRead
    | StepPlanned
    | StageSkipped
    | StepStarted
    | StepSaid
    | StepEnded
    | BuildWarned
    | FileDescribed
    | BaseSought
    | BasePulled
    | BaseFound
    | ScanStarted
    | ScanSaid
    | ResultScanned
    | ResultMeasured
    | ResultPushed
    | OutputPiece
    | BuildDone
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBuild:
    """A build that was, as the door that it came by remembers it."""

    ref: str
    """What its client called it."""
    record: bytes
    """In the door's own words."""
    is_pinned: bool = False
    """It stays until somebody forgets it."""


class CacheKind(Enum):
    """What a record of the build cache is. The values are BuildKit's words."""

    STEP = "regular"
    CACHE_MOUNT = "exec.cachemount"
    CONTEXT = "source.local"
    """What a client has sent of a directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRecord:
    """Something that a later build may use again."""

    key: str
    kind: CacheKind = CacheKind.STEP
    description: str
    size_bytes: int
    created_at_ns: int
    used_at_ns: int
    use_count: int
    parents: tuple[str, ...] = ()
    """Keys of the steps below."""
    is_in_use: bool = False
    """By a build that is under way."""
    is_shared: bool = False
    """An image has its layer too: without the record it would still be there."""
    diff_id: str = ""
    """The layer that a step made; empty where it made none."""
    chain_id: str = ""
    """The stack of layers that is there after a step."""

    @property
    def shown_id(self) -> str:
        """What people and filters call it."""
        return self.key[:25]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePrune:
    """Which records are to go; of those, only as many as the limits ask for."""

    takes_all: bool = False
    """Also those that an image shares, which frees nothing now."""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reserved_bytes: int = 0
    """What is left to the cache whatever else is said."""
    most_bytes: int = 0
    """What the cache may have at most; zero: no limit."""
    least_free_bytes: int = 0
    """What the disk should have free afterwards; zero: no wish."""
    reason: str = "builder prune"
    """Who removes them, for whoever asks later why a step ran again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUpkeep:
    """What is done about the build cache when builds have ended."""

    is_on: bool = True
    rules: tuple[CachePrune, ...] = ()
    """One after the other; none: the usual ones, with the limits below."""
    reserved_bytes: int = 0
    most_bytes: int = 0
    least_free_bytes: int = 0
    """Zero, each of the three: as the size of the disk suggests."""
