"""Builds that are under way and those that were, over restarts of the engine.

The last ones are remembered, with what was told of them; one that is pinned stays until it is
unpinned or deleted. A build that was under way when an engine died was never heard of.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from grpclib.const import Status

from wherry.api.buildkit.failures import failure, to_rpc_status
from wherry.api.buildkit.history_filters import chosen
from wherry.api.buildkit.jobs import Job, exported
from wherry.api.buildkit.stories import CANCELLED
from wherry.api.services import BuildHistory
from wherry.kit.aio import own_task
from wherry.kit.clock import Clock
from wherry.kit.urls import without_credentials
from wherry.model.builds import PROXIES, KeptBuild
from wherry.model.errors import InvalidValue
from wherry.wire.buildkit.control import (
    BuildHistoryEvent,
    BuildHistoryRecord,
    BuildHistoryRequest,
    KeptStory,
    StatusResponse,
    UpdateBuildHistoryRequest,
)
from wherry.wire.buildkit.errors import RpcStatus
from wherry.wire.protobuf import decode, encode, timestamp

STARTED, COMPLETE, DELETED = range(3)


class History:
    """The records, oldest first."""

    def __init__(self, kept: BuildHistory, clock: Clock) -> None:
        self._kept = kept
        self._clock = clock
        self._loading: asyncio.Future[None] | None = None
        self._keeping: set[asyncio.Task[None]] = set()
        self._records: dict[str, BuildHistoryRecord] = {}
        self._listeners: set[asyncio.Queue[BuildHistoryEvent]] = set()

    async def load(self) -> None:
        """Read what earlier engines have kept, once."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        for each in await self._kept.all():
            record = decode(BuildHistoryRecord, each.record)
            self._records.setdefault(record.Ref, record)

    @asynccontextmanager
    async def remembering(self, job: Job) -> AsyncIterator[None]:
        """A build is under way as long as the block runs; then it is one that was."""
        await self.load()
        self.begin(job)
        problem: RpcStatus | None = RpcStatus(code=Status.CANCELLED.value, message=CANCELLED)
        try:
            yield
            problem = None
        except Exception as error:
            problem = to_rpc_status(failure(error, job.narrator))
            raise
        finally:
            await self.end(job, exported(job), problem)

    def begin(self, job: Job) -> None:
        """A build is under way; those that clients keep to themselves are not remembered."""
        if job.request.Internal:
            return
        record = BuildHistoryRecord(
            Ref=job.request.Ref,
            Frontend=job.request.Frontend,
            FrontendAttrs=_public(job.request.FrontendAttrs),
            Exporters=job.request.Exporters,
            CreatedAt=timestamp(self._clock.now_ns()),
        )
        self._records[record.Ref] = record
        self._tell(STARTED, record)

    async def end(self, job: Job, response: dict[str, str], error: RpcStatus | None) -> None:
        """It came to its end, good or bad."""
        record = self._records.get(job.request.Ref)
        if record is None:
            return
        steps = job.story.steps
        record.Frontend = record.Frontend or job.frontend
        record.FrontendAttrs = record.FrontendAttrs or _public(job.options)
        record.CompletedAt = timestamp(self._clock.now_ns())
        record.ExporterResponse = response
        record.error = error
        record.numTotalSteps = len(steps)
        record.numCachedSteps = sum(each.cached for each in steps)
        record.numCompletedSteps = sum(each.completed is not None for each in steps)
        self._tell(COMPLETE, record)
        job.story.end()
        # Whoever is told of the end finds it kept; a client that leaves before changes nothing.
        keeping = own_task(self._keep(record, job.story.written()))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        await asyncio.shield(keeping)

    async def _keep(self, record: BuildHistoryRecord, story: bytes) -> None:
        for gone in await self._kept.keep(_kept(record), story):
            self._delete(gone)

    async def story(self, ref: str) -> AsyncIterator[StatusResponse] | None:
        """What was told of a build that was; None where there is none of that name."""
        await self.load()
        if ref not in self._records:
            return None
        content = await self._kept.story(ref)
        return None if content is None else _each(decode(KeptStory, content))

    async def update(self, request: UpdateBuildHistoryRequest) -> None:
        """Keep a record, or forget it. Raises: InvalidValue."""
        record = self._records.get(request.Ref)
        if record is None:
            raise InvalidValue(f"failed to get build record {request.Ref}: not found")
        if request.Delete and record.CompletedAt is not None:
            await self._kept.forget(record.Ref)
            self._delete(record.Ref)
        elif not request.Finalize:
            record.pinned = request.Pinned
            await self._kept.change(_kept(record))

    async def listen(self, request: BuildHistoryRequest) -> AsyncIterator[BuildHistoryEvent]:
        """What is remembered, and what comes, unless the listener wants to leave before."""
        await self.load()
        is_chosen = chosen(request.Filter, now_ns=self._clock.now_ns())
        news: asyncio.Queue[BuildHistoryEvent] = asyncio.Queue()
        self._listeners.add(news)
        try:
            known = [
                each
                for each in self._records.values()
                if _is_asked_for(request, each) and is_chosen(each)
            ]
            for record in known[-request.Limit :] if request.Limit else known:
                yield BuildHistoryEvent(type=_state(record), record=record)
            while not request.EarlyExit:
                event = await news.get()
                told = event.record
                if told is not None and _is_asked_for(request, told) and is_chosen(told):
                    yield event
        finally:
            self._listeners.discard(news)

    def _delete(self, ref: str) -> None:
        record = self._records.pop(ref, None)
        if record is not None:
            self._tell(DELETED, record)

    def _tell(self, kind: int, record: BuildHistoryRecord) -> None:
        for listener in self._listeners:
            listener.put_nowait(BuildHistoryEvent(type=kind, record=record))


def _is_asked_for(request: BuildHistoryRequest, record: BuildHistoryRecord) -> bool:
    if request.Ref and record.Ref != request.Ref:
        return False
    return not request.ActiveOnly or record.CompletedAt is None


def _state(record: BuildHistoryRecord) -> int:
    return STARTED if record.CompletedAt is None else COMPLETE


def _kept(record: BuildHistoryRecord) -> KeptBuild:
    return KeptBuild(ref=record.Ref, record=encode(record), is_pinned=record.pinned)


async def _each(story: KeptStory) -> AsyncIterator[StatusResponse]:
    for told in story.told:
        yield told


def _public(options: Mapping[str, str]) -> dict[str, str]:
    """What a build was asked for, without what nobody else may know."""
    return {
        name: without_credentials(value)
        for name, value in options.items()
        if name.removeprefix("build-arg:") not in PROXIES
    }
