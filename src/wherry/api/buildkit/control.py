"""moby.buildkit.v1.Control: solving, hearing of it, and what the builder keeps."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from grpclib.const import Handler

from wherry.api.buildkit.calls import Metadata, answered, streamed
from wherry.api.buildkit.failures import failure
from wherry.api.buildkit.history import History
from wherry.api.buildkit.jobs import Job, Jobs, exported
from wherry.api.buildkit.keeping import chosen, to_cache_prune, to_usage_record
from wherry.api.buildkit.sessions import Session, Sessions
from wherry.api.services import Builds, Networks, System
from wherry.model.errors import FeatureMissing, NotFound
from wherry.model.errors.builds import ClientGone
from wherry.wire.buildkit import control as wire

_LABELS = {
    "org.mobyproject.buildkit.worker.executor": "wherry",
    # By this one buildx knows that images of all kinds, and of several platforms, can come out.
    "org.mobyproject.buildkit.worker.snapshotter": "wherry",
}
_HOST_GATEWAY = "org.mobyproject.buildkit.worker.moby.host-gateway-ip"
"""The label with the address that clients write for `host-gateway`."""
_SERVICE = "/moby.buildkit.v1.Control"


class Control:
    """The service."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        sessions: Sessions,
        history: History,
        builds: Builds,
        system: System,
        networks: Networks,
    ) -> None:
        self._jobs = jobs
        self._sessions = sessions
        self._history = history
        self._builds = builds
        self._system = system
        self._networks = networks

    def methods(self) -> Mapping[str, Handler]:
        """By path."""
        return {
            f"{_SERVICE}/Solve": answered(self.solve, wire.SolveRequest, wire.SolveResponse),
            f"{_SERVICE}/Status": streamed(self.status, wire.StatusRequest, wire.StatusResponse),
            f"{_SERVICE}/ListWorkers": answered(
                self.list_workers, wire.ListWorkersRequest, wire.ListWorkersResponse
            ),
            f"{_SERVICE}/Info": answered(self.info, wire.InfoRequest, wire.InfoResponse),
            f"{_SERVICE}/DiskUsage": answered(
                self.disk_usage, wire.DiskUsageRequest, wire.DiskUsageResponse
            ),
            f"{_SERVICE}/ListenBuildHistory": streamed(
                self.listen_build_history, wire.BuildHistoryRequest, wire.BuildHistoryEvent
            ),
            f"{_SERVICE}/UpdateBuildHistory": answered(
                self.update_build_history,
                wire.UpdateBuildHistoryRequest,
                wire.UpdateBuildHistoryResponse,
            ),
            f"{_SERVICE}/Prune": streamed(self.prune, wire.PruneRequest, wire.UsageRecord),
        }

    # -- solving -----------------------------------------------------------------------------

    async def solve(self, request: wire.SolveRequest, _: Metadata) -> wire.SolveResponse:
        """Build, and answer when all is done."""
        if request.Definition:
            raise FeatureMissing("builds from an LLB definition (Solve of a graph)")
        session = await self._sessions.get(request.Session) if request.Session else None
        async with self._jobs.running(request, session) as job:
            try:
                async with self._history.remembering(job):
                    await _until_lost(job, session)
            except Exception as error:
                raise failure(error, job.narrator) from error
            return wire.SolveResponse(ExporterResponse=exported(job))

    async def listen_build_history(
        self, request: wire.BuildHistoryRequest, _: Metadata
    ) -> AsyncIterator[wire.BuildHistoryEvent]:
        """Builds that were and are."""
        async for event in self._history.listen(request):
            yield event

    async def update_build_history(
        self, request: wire.UpdateBuildHistoryRequest, _: Metadata
    ) -> wire.UpdateBuildHistoryResponse:
        """Keep a record, or forget it."""
        await self._history.load()
        await self._history.update(request)
        return wire.UpdateBuildHistoryResponse()

    async def status(
        self, request: wire.StatusRequest, _: Metadata
    ) -> AsyncIterator[wire.StatusResponse]:
        """All that is told of a build."""
        was = None
        if not self._jobs.has(request.Ref):
            was = await self._history.story(request.Ref)
        story = was or (await self._jobs.get(request.Ref)).story.listen()
        async for told in story:
            yield told

    # -- the builder -------------------------------------------------------------------------

    async def list_workers(
        self, _request: wire.ListWorkersRequest, _: Metadata
    ) -> wire.ListWorkersResponse:
        """There is one: this engine."""
        return wire.ListWorkersResponse(record=[await self.worker()])

    async def worker(self) -> wire.WorkerRecord:
        """This engine."""
        info = await self._system.info()
        return wire.WorkerRecord(
            ID=info.id,
            Labels={**_LABELS, **await self._host_gateway()},
            platforms=[wire.Platform(OS="linux", Architecture=info.architecture)],
            version=_version(info.version),
        )

    async def _host_gateway(self) -> dict[str, str]:
        """The host's address on the default bridge, if there is one."""
        try:
            address = (await self._networks.get("bridge")).gateway
        except NotFound:
            return {}
        return {_HOST_GATEWAY: address} if address else {}

    async def info(self, _request: wire.InfoRequest, _: Metadata) -> wire.InfoResponse:
        """Which builder this is."""
        return wire.InfoResponse(buildkitVersion=_version((await self._system.info()).version))

    async def disk_usage(
        self, request: wire.DiskUsageRequest, _: Metadata
    ) -> wire.DiskUsageResponse:
        """What later builds may use again."""
        records = [to_usage_record(each) for each in await self._builds.cache()]
        return wire.DiskUsageResponse(record=chosen(records, request.filter))

    async def prune(
        self, request: wire.PruneRequest, _: Metadata
    ) -> AsyncIterator[wire.UsageRecord]:
        """Remove what later builds may use; told record by record."""
        for record in await self._builds.prune(to_cache_prune(request)):
            yield to_usage_record(record)


async def _until_lost(job: Job, session: Session | None) -> None:
    """The job's end, or its client's. Raises: ClientGone, what the build raises."""
    ending: asyncio.Future[str] | asyncio.Future[None] = job.returned
    if job.request.Frontend:
        ending = asyncio.ensure_future(job.build(job.request.Frontend, job.request.FrontendAttrs))
    losing = asyncio.ensure_future(session.lost() if session else asyncio.Event().wait())
    try:
        await asyncio.wait((ending, losing), return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            raise ClientGone()
        await ending
    finally:
        losing.cancel()
        if not ending.done():
            ending.cancel()
            await asyncio.wait([ending])


def _version(version: str) -> wire.BuildkitVersion:
    return wire.BuildkitVersion(package="wherry", version=f"v{version}")
