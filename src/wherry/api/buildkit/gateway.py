"""moby.buildkit.v1.frontend.LLBBridge: a client that steers its build.

Each call belongs to a job, which its metadata names. Results are known to the client by names
that we give; what it returns ends the job.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from grpclib.const import Handler

from wherry.api.buildkit.answers import DESCRIBED
from wherry.api.buildkit.calls import Metadata, answered
from wherry.api.buildkit.control import Control
from wherry.api.buildkit.failures import failure, to_failure
from wherry.api.buildkit.jobs import Job, Jobs
from wherry.api.buildkit.result_files import read_directory, read_file, stat_file
from wherry.api.buildkit.session_offers import SessionCredentials
from wherry.api.services import Builds
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire.buildkit import gateway as wire
from wherry.wire.buildkit.control import Platform, VertexWarning

_SERVICE = "/moby.buildkit.v1.frontend.LLBBridge"
_IMAGE = "docker-image://"
_DESCRIBE = "frontend.subrequests.describe"
_JOB = "buildkit-controlapi-buildid"

_FRONTEND_CAPS = (
    "solve.base",
    "solve.inlinereturn",
    "returnerror",
    "return",
    "frontend.caps",
    "gateway.evaluate.solve",
    "gateway.solve.metadata",
    "gateway.warnings",
    "proto.refarray",
    "readfile",
    "readdir",
    "statfile",
    "resolveimage",
    "resolveimage.resolvemode",
)
_BUILD_CAPS = ("source.image", "source.image.resolvemode", "source.local", "source.local.unique",
    "source.local.followpaths", "source.local.includepatterns", "source.local.excludepatterns",
    "exec.meta.base", "exec.meta.network", "exec.mount.bind", "exec.mount.cache",
    "exec.mount.secret", "exec.mount.ssh", "exec.mount.tmpfs", "exec.meta.ulimit",
    "exec.cgroup.parent", "file.base", "constraints", "platform", "meta.description",
    "meta.ignorecache", "meta.exportcache", "source.ocilayout", "exporter.image.annotations",
    "exporter.image.attestations", "exporter.sourcedateepoch")  # fmt: skip


class Gateway:
    """The service."""

    def __init__(self, *, jobs: Jobs, control: Control, builds: Builds) -> None:
        self._jobs = jobs
        self._control = control
        self._builds = builds

    def methods(self) -> Mapping[str, Handler]:
        """By path."""
        return {
            f"{_SERVICE}/Ping": answered(self.ping, wire.PingRequest, wire.PongResponse),
            f"{_SERVICE}/Solve": answered(self.solve, wire.SolveRequest, wire.SolveResponse),
            f"{_SERVICE}/Return": answered(
                self.take_result, wire.ReturnRequest, wire.ReturnResponse
            ),
            f"{_SERVICE}/Evaluate": answered(
                self.evaluate, wire.EvaluateRequest, wire.EvaluateResponse
            ),
            f"{_SERVICE}/ReadFile": answered(
                self.read_file, wire.ReadFileRequest, wire.ReadFileResponse
            ),
            f"{_SERVICE}/ReadDir": answered(
                self.read_dir, wire.ReadDirRequest, wire.ReadDirResponse
            ),
            f"{_SERVICE}/StatFile": answered(
                self.stat_file, wire.StatFileRequest, wire.StatFileResponse
            ),
            f"{_SERVICE}/ResolveImageConfig": answered(
                self.resolve_image_config,
                wire.ResolveImageConfigRequest,
                wire.ResolveImageConfigResponse,
            ),
            f"{_SERVICE}/ResolveSourceMeta": answered(
                self.resolve_source_meta,
                wire.ResolveSourceMetaRequest,
                wire.ResolveSourceMetaResponse,
            ),
            f"{_SERVICE}/Inputs": answered(self.inputs, wire.InputsRequest, wire.InputsResponse),
            f"{_SERVICE}/Warn": answered(self.warn, wire.WarnRequest, wire.WarnResponse),
        }

    async def ping(self, _request: wire.PingRequest, _: Metadata) -> wire.PongResponse:
        """What we can do."""
        return wire.PongResponse(
            FrontendAPICaps=[wire.APICap(ID=each, Enabled=True) for each in _FRONTEND_CAPS],
            LLBCaps=[wire.APICap(ID=each, Enabled=True) for each in _BUILD_CAPS],
            Workers=[await self._control.worker()],
        )

    async def solve(self, request: wire.SolveRequest, metadata: Metadata) -> wire.SolveResponse:
        """Build; the answer comes when all is built."""
        job = await self._job(metadata)
        if request.Definition or request.FrontendInputs:
            raise FeatureMissing("builds from an LLB definition (Solve of a graph)")
        if not request.Frontend:
            return wire.SolveResponse(result=wire.Result())
        if request.FrontendOpt.get("requestid") == _DESCRIBE:
            return wire.SolveResponse(result=wire.Result(metadata=DESCRIBED))
        try:
            name = await job.build(request.Frontend, request.FrontendOpt)
        except Exception as error:
            raise failure(error, job.narrator) from error
        if job.answer:
            return wire.SolveResponse(result=wire.Result(metadata=job.answer))
        return wire.SolveResponse(result=wire.Result(ref=wire.Ref(id=name)))

    async def take_result(
        self, request: wire.ReturnRequest, metadata: Metadata
    ) -> wire.ReturnResponse:
        """The end of the job."""
        job = await self._job(metadata)
        if job.returned.done():
            raise InvalidValue("the build has returned already")
        if request.error is not None and request.error.code:
            job.returned.set_exception(to_failure(request.error))
        else:
            job.returned.set_result(None)
        return wire.ReturnResponse()

    async def evaluate(self, _request: wire.EvaluateRequest, _: Metadata) -> wire.EvaluateResponse:
        """Nothing here is lazy: a result that has a name is there."""
        return wire.EvaluateResponse()

    async def inputs(self, _request: wire.InputsRequest, _: Metadata) -> wire.InputsResponse:
        """There are none: they would be definitions."""
        return wire.InputsResponse()

    async def warn(self, request: wire.WarnRequest, metadata: Metadata) -> wire.WarnResponse:
        """A warning of the client's own, told like ours."""
        job = await self._job(metadata)
        job.story.warn(
            "",
            VertexWarning(
                vertex=request.digest,
                level=request.level,
                short=request.short,
                detail=request.detail,
                url=request.url,
                info=request.info,
                ranges=request.ranges,
            ),
        )
        return wire.WarnResponse()

    # -- files of results --------------------------------------------------------------------

    async def read_file(
        self, request: wire.ReadFileRequest, metadata: Metadata
    ) -> wire.ReadFileResponse:
        """A file's content, or a part of it."""
        part = request.Range or wire.FileRange()
        async with await self._files(metadata, request.Ref) as root:
            data = read_file(root, request.FilePath, part.Offset, part.Length)
        return wire.ReadFileResponse(Data=data)

    async def read_dir(
        self, request: wire.ReadDirRequest, metadata: Metadata
    ) -> wire.ReadDirResponse:
        """What is in a directory."""
        async with await self._files(metadata, request.Ref) as root:
            entries = read_directory(root, request.DirPath, request.IncludePattern)
        return wire.ReadDirResponse(entries=entries)

    async def stat_file(
        self, request: wire.StatFileRequest, metadata: Metadata
    ) -> wire.StatFileResponse:
        """What is at a path."""
        async with await self._files(metadata, request.Ref) as root:
            return wire.StatFileResponse(stat=stat_file(root, request.Path))

    async def _files(self, metadata: Metadata, ref: str) -> AbstractAsyncContextManager[int]:
        """The root of a result. Raises: InvalidValue, FeatureMissing."""
        done = (await self._job(metadata)).done.get(ref)
        if done is None:
            raise InvalidValue(f"no such ref: {ref}")
        if not done.image_id:
            raise FeatureMissing("reading files of a result that is no image")
        return self._builds.files_of(done.image_id)

    # -- images ------------------------------------------------------------------------------

    async def resolve_image_config(
        self, request: wire.ResolveImageConfigRequest, metadata: Metadata
    ) -> wire.ResolveImageConfigResponse:
        """An image's configuration; the image is pulled if it is missing."""
        digest, content = await self._configuration(metadata, request.Ref, request.platform)
        return wire.ResolveImageConfigResponse(Digest=digest, Config=content, Ref=request.Ref)

    async def resolve_source_meta(
        self, request: wire.ResolveSourceMetaRequest, metadata: Metadata
    ) -> wire.ResolveSourceMetaResponse:
        """The same for a source, which must be an image."""
        source = request.Source or wire.SourceOp()
        if not source.identifier.startswith(_IMAGE):
            raise FeatureMissing(f"the source {source.identifier}")
        reference = source.identifier.removeprefix(_IMAGE)
        digest, content = await self._configuration(metadata, reference, request.platform)
        image = wire.ResolveSourceImageResponse(Digest=digest, Config=content)
        return wire.ResolveSourceMetaResponse(Source=source, Image=image)

    async def _configuration(
        self, metadata: Metadata, reference: str, platform: Platform | None
    ) -> tuple[str, bytes]:
        job = await self._job(metadata)
        if job.session is None:
            raise InvalidValue("resolving an image needs a session")
        wanted = f"{platform.OS}/{platform.Architecture}" if platform else ""
        return await self._builds.configuration(reference, wanted, SessionCredentials(job.session))

    async def _job(self, metadata: Metadata) -> Job:
        """The job that a call belongs to. Raises: InvalidValue."""
        return await self._jobs.get(str(metadata.get(_JOB, "")))
