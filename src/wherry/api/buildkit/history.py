"""Builds that are under way and those that were, as long as the engine runs.

The last ones are remembered; one that is pinned stays until it is unpinned or deleted.
"""

import asyncio
from collections.abc import AsyncIterator

from wherry.api.buildkit.jobs import Job
from wherry.kit.clock import Clock
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire.buildkit.control import (
    BuildHistoryEvent,
    BuildHistoryRecord,
    BuildHistoryRequest,
    UpdateBuildHistoryRequest,
)
from wherry.wire.buildkit.errors import RpcStatus
from wherry.wire.protobuf import timestamp

MOST_RECORDS = 100
STARTED, COMPLETE, DELETED = range(3)


class History:
    """The records, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[str, BuildHistoryRecord] = {}
        self._listeners: set[asyncio.Queue[BuildHistoryEvent]] = set()

    def begin(self, job: Job) -> None:
        """A build is under way; those that clients keep to themselves are not remembered."""
        if job.request.Internal:
            return
        record = BuildHistoryRecord(
            Ref=job.request.Ref,
            Frontend=job.request.Frontend,
            FrontendAttrs=job.request.FrontendAttrs,
            Exporters=job.request.Exporters,
            CreatedAt=timestamp(self._clock.now_ns()),
        )
        self._records[record.Ref] = record
        self._tell(STARTED, record)

    def end(self, job: Job, response: dict[str, str], error: RpcStatus | None) -> None:
        """It came to its end, good or bad."""
        record = self._records.get(job.request.Ref)
        if record is None:
            return
        steps = job.story.steps
        record.Frontend = record.Frontend or job.frontend
        record.FrontendAttrs = record.FrontendAttrs or dict(job.options)
        record.CompletedAt = timestamp(self._clock.now_ns())
        record.ExporterResponse = response
        record.error = error
        record.numTotalSteps = len(steps)
        record.numCachedSteps = sum(each.cached for each in steps)
        record.numCompletedSteps = sum(each.completed is not None for each in steps)
        self._tell(COMPLETE, record)
        self._forget_old()

    def update(self, request: UpdateBuildHistoryRequest) -> None:
        """Keep a record, or forget it. Raises: InvalidValue."""
        record = self._records.get(request.Ref)
        if record is None:
            raise InvalidValue(f"failed to get build record {request.Ref}: not found")
        record.pinned = request.Pinned
        if request.Delete and record.CompletedAt is not None:
            self._delete(record)

    async def listen(self, request: BuildHistoryRequest) -> AsyncIterator[BuildHistoryEvent]:
        """What is remembered, and what comes, unless the listener wants to leave before."""
        if request.Filter:
            raise FeatureMissing("filters of the build history")
        news: asyncio.Queue[BuildHistoryEvent] = asyncio.Queue()
        self._listeners.add(news)
        try:
            known = [each for each in self._records.values() if _is_asked_for(request, each)]
            for record in known[-request.Limit :] if request.Limit else known:
                yield BuildHistoryEvent(type=_state(record), record=record)
            while not request.EarlyExit:
                event = await news.get()
                if event.record is not None and _is_asked_for(request, event.record):
                    yield event
        finally:
            self._listeners.discard(news)

    def _delete(self, record: BuildHistoryRecord) -> None:
        del self._records[record.Ref]
        self._tell(DELETED, record)

    def _forget_old(self) -> None:
        ended = [each for each in self._records.values() if _state(each) == COMPLETE]
        for record in [each for each in ended if not each.pinned][:-MOST_RECORDS]:
            self._delete(record)

    def _tell(self, kind: int, record: BuildHistoryRecord) -> None:
        for listener in self._listeners:
            listener.put_nowait(BuildHistoryEvent(type=kind, record=record))


def _is_asked_for(request: BuildHistoryRequest, record: BuildHistoryRecord) -> bool:
    if request.Ref and record.Ref != request.Ref:
        return False
    return not request.ActiveOnly or record.CompletedAt is None


def _state(record: BuildHistoryRecord) -> int:
    return STARTED if record.CompletedAt is None else COMPLETE
