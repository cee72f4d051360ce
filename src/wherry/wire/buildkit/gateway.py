"""moby.buildkit.v1.frontend.LLBBridge: what a client says while it steers its build."""

from typing import Annotated

from wherry.wire.buildkit.control import CacheOptionsEntry, Platform, WorkerRecord
from wherry.wire.buildkit.errors import RpcStatus
from wherry.wire.buildkit.files import Stat
from wherry.wire.buildkit.sources import Range, SourceInfo
from wherry.wire.protobuf import Message


class APICap(Message):
    """Something that the builder can do."""

    ID: Annotated[str, 1] = ""
    Enabled: Annotated[bool, 2] = False


class PingRequest(Message):
    """What can you do?"""


class PongResponse(Message):
    """What we can do."""

    FrontendAPICaps: Annotated[list[APICap], 1] = []
    LLBCaps: Annotated[list[APICap], 2] = []
    Workers: Annotated[list[WorkerRecord], 3] = []


class Ref(Message):
    """A result, by a name that we gave it."""

    id: Annotated[str, 1] = ""
    definition: Annotated[bytes, 2] = b""


class RefMap(Message):
    """Results by platform."""

    refs: Annotated[dict[str, Ref], 1] = {}


class Result(Message):
    """What was solved: one result, or one for each platform."""

    ref: Annotated[Ref | None, 3] = None
    refs: Annotated[RefMap | None, 4] = None
    metadata: Annotated[dict[str, bytes], 10] = {}


class SolveRequest(Message):
    """A build of a frontend or a definition."""

    Definition: Annotated[bytes, 1] = b""
    Frontend: Annotated[str, 2] = ""
    FrontendOpt: Annotated[dict[str, str], 3] = {}
    allowResultReturn: Annotated[bool, 5] = False
    allowResultArrayRef: Annotated[bool, 6] = False
    Final: Annotated[bool, 10] = False
    CacheImports: Annotated[list[CacheOptionsEntry], 12] = []
    FrontendInputs: Annotated[dict[str, bytes], 13] = {}
    Evaluate: Annotated[bool, 14] = False
    SourcePolicies: Annotated[list[bytes], 15] = []


class SolveResponse(Message):
    """Its result."""

    ref: Annotated[str, 1] = ""
    result: Annotated[Result | None, 3] = None


class ReturnRequest(Message):
    """The end: the result that is to be exported, or why there is none."""

    result: Annotated[Result | None, 1] = None
    error: Annotated[RpcStatus | None, 2] = None


class ReturnResponse(Message):
    """Understood."""


class ResolveImageConfigRequest(Message):
    """An image by reference."""

    Ref: Annotated[str, 1] = ""
    platform: Annotated[Platform | None, 2] = None
    ResolveMode: Annotated[str, 3] = ""
    LogName: Annotated[str, 4] = ""


class ResolveImageConfigResponse(Message):
    """Its digest and configuration."""

    Digest: Annotated[str, 1] = ""
    Config: Annotated[bytes, 2] = b""
    Ref: Annotated[str, 3] = ""


class SourceOp(Message):
    """Something by identifier: `docker-image://…`."""

    identifier: Annotated[str, 1] = ""
    attrs: Annotated[dict[str, str], 2] = {}


class ResolveSourceMetaRequest(Message):
    """A source by identifier."""

    Source: Annotated[SourceOp | None, 1] = None
    platform: Annotated[Platform | None, 2] = None
    LogName: Annotated[str, 3] = ""
    ResolveMode: Annotated[str, 4] = ""


class ResolveSourceImageResponse(Message):
    """What an image's source is."""

    Digest: Annotated[str, 1] = ""
    Config: Annotated[bytes, 2] = b""


class ResolveSourceMetaResponse(Message):
    """What a source is."""

    Source: Annotated[SourceOp | None, 1] = None
    Image: Annotated[ResolveSourceImageResponse | None, 2] = None


class FileRange(Message):
    """A part of a file."""

    Offset: Annotated[int, 1] = 0
    Length: Annotated[int, 2] = 0


class ReadFileRequest(Message):
    """A file of a result."""

    Ref: Annotated[str, 1] = ""
    FilePath: Annotated[str, 2] = ""
    Range: Annotated[FileRange | None, 3] = None


class ReadFileResponse(Message):
    """Its content."""

    Data: Annotated[bytes, 1] = b""


class ReadDirRequest(Message):
    """A directory of a result."""

    Ref: Annotated[str, 1] = ""
    DirPath: Annotated[str, 2] = ""
    IncludePattern: Annotated[str, 3] = ""


class ReadDirResponse(Message):
    """What is in it."""

    entries: Annotated[list[Stat], 1] = []


class StatFileRequest(Message):
    """A path in a result."""

    Ref: Annotated[str, 1] = ""
    Path: Annotated[str, 2] = ""


class StatFileResponse(Message):
    """What is there."""

    stat: Annotated[Stat | None, 1] = None


class EvaluateRequest(Message):
    """A result that is to be there."""

    Ref: Annotated[str, 1] = ""


class EvaluateResponse(Message):
    """It is there."""


class InputsRequest(Message):
    """Which inputs has the build?"""


class InputsResponse(Message):
    """Definitions by name."""

    Definitions: Annotated[dict[str, bytes], 1] = {}


class WarnRequest(Message):
    """A warning of the client's own."""

    digest: Annotated[str, 1] = ""
    level: Annotated[int, 2] = 0
    short: Annotated[bytes, 3] = b""
    detail: Annotated[list[bytes], 4] = []
    url: Annotated[str, 5] = ""
    info: Annotated[SourceInfo | None, 6] = None
    ranges: Annotated[list[Range], 7] = []


class WarnResponse(Message):
    """Told on."""
