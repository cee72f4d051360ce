"""moby.buildkit.v1.Control: what a client asks of a builder, and how it hears of its build."""

from typing import Annotated

from wherry.wire.buildkit.errors import RpcStatus
from wherry.wire.buildkit.sources import Range, SourceInfo
from wherry.wire.protobuf import Message, Timestamp

# -- solving ---------------------------------------------------------------------------------


class Exporter(Message):
    """Where the result goes."""

    Type: Annotated[str, 1] = ""
    Attrs: Annotated[dict[str, str], 2] = {}


class CacheOptionsEntry(Message):
    """A cache elsewhere."""

    Type: Annotated[str, 1] = ""
    Attrs: Annotated[dict[str, str], 2] = {}


class CacheOptions(Message):
    """Caches elsewhere, to read and to write."""

    Exports: Annotated[list[CacheOptionsEntry], 4] = []
    Imports: Annotated[list[CacheOptionsEntry], 5] = []


class SolveRequest(Message):
    """A build: of a definition, of a frontend, or of what its client says through the gateway."""

    Ref: Annotated[str, 1] = ""
    Definition: Annotated[bytes, 2] = b""
    ExporterDeprecated: Annotated[str, 3] = ""
    ExporterAttrsDeprecated: Annotated[dict[str, str], 4] = {}
    Session: Annotated[str, 5] = ""
    Frontend: Annotated[str, 6] = ""
    FrontendAttrs: Annotated[dict[str, str], 7] = {}
    Cache: Annotated[CacheOptions | None, 8] = None
    Entitlements: Annotated[list[str], 9] = []
    FrontendInputs: Annotated[dict[str, bytes], 10] = {}
    Internal: Annotated[bool, 11] = False
    SourcePolicy: Annotated[bytes, 12] = b""
    Exporters: Annotated[list[Exporter], 13] = []
    EnableSessionExporter: Annotated[bool, 14] = False


class SolveResponse(Message):
    """What the exporters say of the result."""

    ExporterResponse: Annotated[dict[str, str], 1] = {}


# -- hearing of it ---------------------------------------------------------------------------


class StatusRequest(Message):
    """Of which build."""

    Ref: Annotated[str, 1] = ""


class Vertex(Message):
    """A step: told when it is known, when it begins and when it ends."""

    digest: Annotated[str, 1] = ""
    inputs: Annotated[list[str], 2] = []
    name: Annotated[str, 3] = ""
    cached: Annotated[bool, 4] = False
    started: Annotated[Timestamp | None, 5] = None
    completed: Annotated[Timestamp | None, 6] = None
    error: Annotated[str, 7] = ""


class VertexStatus(Message):
    """How far a part of a step is, in bytes."""

    ID: Annotated[str, 1] = ""
    vertex: Annotated[str, 2] = ""
    name: Annotated[str, 3] = ""
    current: Annotated[int, 4] = 0
    total: Annotated[int, 5] = 0
    timestamp: Annotated[Timestamp | None, 6] = None
    started: Annotated[Timestamp | None, 7] = None
    completed: Annotated[Timestamp | None, 8] = None


class VertexLog(Message):
    """What a step's command has written."""

    vertex: Annotated[str, 1] = ""
    timestamp: Annotated[Timestamp | None, 2] = None
    stream: Annotated[int, 3] = 0
    msg: Annotated[bytes, 4] = b""


class VertexWarning(Message):
    """What a check found."""

    vertex: Annotated[str, 1] = ""
    level: Annotated[int, 2] = 0
    short: Annotated[bytes, 3] = b""
    detail: Annotated[list[bytes], 4] = []
    url: Annotated[str, 5] = ""
    info: Annotated[SourceInfo | None, 6] = None
    ranges: Annotated[list[Range], 7] = []


class StepCause(Message):
    """Why a step ran; ours alone, as all that follows."""

    kind: Annotated[str, 1] = ""
    """A word of `model.build_causes`."""
    subject: Annotated[str, 2] = ""
    before: Annotated[str, 3] = ""
    now: Annotated[str, 4] = ""


class StepReport(Message):
    """What is known of a vertex that came to its end."""

    vertex: Annotated[str, 1] = ""
    stage: Annotated[str, 2] = ""
    was_cached: Annotated[bool, 3] = False
    bytes: Annotated[int, 4] = 0
    """Of what it added."""
    causes: Annotated[list[StepCause], 5] = []
    more: Annotated[int, 6] = 0
    compared_at: Annotated[Timestamp | None, 7] = None


class Waste(Message):
    """Bytes of a layer that the result does not show."""

    vertex: Annotated[str, 1] = ""
    """Empty: of the base's layers."""
    bytes: Annotated[int, 2] = 0


class SkippedStage(Message):
    """A stage that nothing needs."""

    name: Annotated[str, 1] = ""
    line: Annotated[int, 2] = 0


class FailedSource(Message):
    """Where in which file a build failed; other clients get this with their answer."""

    info: Annotated[SourceInfo | None, 1] = None
    ranges: Annotated[list[Range], 2] = []


class StatusResponse(Message):
    """What is new. What BuildKit does not tell has numbers that it will not use."""

    vertexes: Annotated[list[Vertex], 1] = []
    statuses: Annotated[list[VertexStatus], 2] = []
    logs: Annotated[list[VertexLog], 3] = []
    warnings: Annotated[list[VertexWarning], 4] = []
    reports: Annotated[list[StepReport], 1000] = []
    skipped: Annotated[list[SkippedStage], 1001] = []
    failures: Annotated[list[FailedSource], 1002] = []
    answer: Annotated[dict[str, bytes], 1003] = {}
    """To an inquiry, under the names that BuildKit's frontend gives to its parts."""
    wastes: Annotated[list[Waste], 1004] = []


# -- the builder -----------------------------------------------------------------------------


class Platform(Message):
    """What is built for."""

    Architecture: Annotated[str, 1] = ""
    OS: Annotated[str, 2] = ""
    Variant: Annotated[str, 3] = ""


class BuildkitVersion(Message):
    """Which builder this is."""

    package: Annotated[str, 1] = ""
    version: Annotated[str, 2] = ""
    revision: Annotated[str, 3] = ""


class WorkerRecord(Message):
    """Who builds."""

    ID: Annotated[str, 1] = ""
    Labels: Annotated[dict[str, str], 2] = {}
    platforms: Annotated[list[Platform], 3] = []
    version: Annotated[BuildkitVersion | None, 5] = None


class ListWorkersRequest(Message):
    """Filters, of which there is no use with one worker."""

    filter: Annotated[list[str], 1] = []


class ListWorkersResponse(Message):
    """All workers."""

    record: Annotated[list[WorkerRecord], 1] = []


class InfoRequest(Message):
    """Nothing to say."""


class InfoResponse(Message):
    """The builder's version."""

    buildkitVersion: Annotated[BuildkitVersion | None, 1] = None


# -- what it keeps ---------------------------------------------------------------------------


class UsageRecord(Message):
    """A result that a later build may use again."""

    ID: Annotated[str, 1] = ""
    Mutable: Annotated[bool, 2] = False
    InUse: Annotated[bool, 3] = False
    Size: Annotated[int, 4] = 0
    CreatedAt: Annotated[Timestamp | None, 6] = None
    LastUsedAt: Annotated[Timestamp | None, 7] = None
    UsageCount: Annotated[int, 8] = 0
    Description: Annotated[str, 9] = ""
    RecordType: Annotated[str, 10] = ""
    Shared: Annotated[bool, 11] = False
    Parents: Annotated[list[str], 12] = []


class DiskUsageRequest(Message):
    """Which results."""

    filter: Annotated[list[str], 1] = []


class DiskUsageResponse(Message):
    """All of them."""

    record: Annotated[list[UsageRecord], 1] = []


class PruneRequest(Message):
    """What may go, and how much is to stay."""

    filter: Annotated[list[str], 1] = []
    all: Annotated[bool, 2] = False
    keepDuration: Annotated[int, 3] = 0
    reservedSpace: Annotated[int, 4] = 0
    maxUsedSpace: Annotated[int, 5] = 0
    minFreeSpace: Annotated[int, 6] = 0


# -- what it remembers -----------------------------------------------------------------------


class KeptStory(Message):
    """Wherry's own: what was told of a build that was."""

    told: Annotated[list[StatusResponse], 1] = []


class BuildHistoryRequest(Message):
    """Builds that are under way, or all, or one."""

    ActiveOnly: Annotated[bool, 1] = False
    Ref: Annotated[str, 2] = ""
    EarlyExit: Annotated[bool, 3] = False
    Filter: Annotated[list[str], 4] = []
    Limit: Annotated[int, 5] = 0


class BuildHistoryRecord(Message):
    """A build that was or is."""

    Ref: Annotated[str, 1] = ""
    Frontend: Annotated[str, 2] = ""
    FrontendAttrs: Annotated[dict[str, str], 3] = {}
    Exporters: Annotated[list[Exporter], 4] = []
    error: Annotated[RpcStatus | None, 5] = None
    CreatedAt: Annotated[Timestamp | None, 6] = None
    CompletedAt: Annotated[Timestamp | None, 7] = None
    ExporterResponse: Annotated[dict[str, str], 9] = {}
    Generation: Annotated[int, 12] = 0
    pinned: Annotated[bool, 14] = False
    numCachedSteps: Annotated[int, 15] = 0
    numTotalSteps: Annotated[int, 16] = 0
    numCompletedSteps: Annotated[int, 17] = 0
    numWarnings: Annotated[int, 19] = 0


class BuildHistoryEvent(Message):
    """A build began (0), ended (1) or was forgotten (2)."""

    type: Annotated[int, 1] = 0
    record: Annotated[BuildHistoryRecord | None, 2] = None


class UpdateBuildHistoryRequest(Message):
    """Keep a record, or forget it."""

    Ref: Annotated[str, 1] = ""
    Pinned: Annotated[bool, 2] = False
    Delete: Annotated[bool, 3] = False
    Finalize: Annotated[bool, 4] = False


class UpdateBuildHistoryResponse(Message):
    """Done."""
