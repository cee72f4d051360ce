"""All the verbs on containers behind one face."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

from wherry.engine.containers.create import CreateContainer
from wherry.engine.containers.exit_records import last_exit
from wherry.engine.containers.io import AttachedStream, ContainerStreams, RecordedStream
from wherry.engine.containers.live import Waiters
from wherry.engine.containers.log_reading import ContainerLogs
from wherry.engine.containers.query import ContainerQueries
from wherry.engine.containers.remove import RemoveContainer
from wherry.engine.containers.rename import RenameContainer
from wherry.engine.containers.start import StartContainer
from wherry.engine.containers.stats import StatsCollector
from wherry.engine.containers.stop import PauseContainer, StopContainer
from wherry.engine.containers.top import TopContainer
from wherry.engine.containers.update import UpdateContainer
from wherry.kit.values import dataclass
from wherry.model.containers import Container, ContainerSpec
from wherry.model.ids import ContainerId
from wherry.model.outcomes import CreateOutcome, StartOutcome, StopOutcome, WaitCondition
from wherry.model.queries import (
    AttachRequest,
    ContainerDetails,
    ContainerQuery,
    LogLine,
    LogQuery,
    ProcessTable,
    RemovedLines,
)
from wherry.model.stats import UsageSample
from wherry.model.tasks import ExitRecord
from wherry.model.updates import ContainerChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerVerbs:
    """Delegates each verb to the object that does it."""

    creating: CreateContainer
    starting: StartContainer
    stopping: StopContainer
    pausing: PauseContainer
    updating: UpdateContainer
    renaming: RenameContainer
    removing: RemoveContainer
    streams: ContainerStreams
    reading: ContainerLogs
    queries: ContainerQueries
    showing_processes: TopContainer
    watching: StatsCollector
    waiters: Waiters

    async def create(self, spec: ContainerSpec, *, name: str, platform: str = "") -> CreateOutcome:
        """See `CreateContainer`."""
        return await self.creating(spec, name=name, platform=platform)

    async def start(self, reference: str) -> StartOutcome:
        """See `StartContainer`."""
        return await self.starting(reference)

    async def stop(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> StopOutcome:
        """See `StopContainer.stop`."""
        return await self.stopping.stop(reference, signal=signal, timeout_s=timeout_s)

    async def restart(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> None:
        """See `StopContainer.restart`."""
        await self.stopping.restart(reference, signal=signal, timeout_s=timeout_s)

    async def kill(self, reference: str, *, signal: str = "") -> None:
        """See `StopContainer.kill`."""
        await self.stopping.kill(reference, signal=signal)

    async def pause(self, reference: str) -> None:
        """See `PauseContainer.pause`."""
        await self.pausing.pause(reference)

    async def unpause(self, reference: str) -> None:
        """See `PauseContainer.unpause`."""
        await self.pausing.unpause(reference)

    async def update(self, reference: str, changes: ContainerChanges) -> tuple[str, ...]:
        """See `UpdateContainer`."""
        return await self.updating(reference, changes)

    async def rename(self, reference: str, new_name: str) -> None:
        """See `RenameContainer`."""
        await self.renaming(reference, new_name)

    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        removes_volumes: bool = False,
        removes_link: bool = False,
    ) -> None:
        """See `RemoveContainer`."""
        await self.removing(
            reference,
            is_forced=is_forced,
            removes_volumes=removes_volumes,
            removes_link=removes_link,
        )

    async def wait(self, reference: str, condition: WaitCondition) -> Awaitable[ExitRecord]:
        """Begin to wait; the result is awaited for the end. Raises: ContainerNotFound."""
        container = await self.queries.get(reference)
        match condition:
            case WaitCondition.NOT_RUNNING if not container.counts_as_running:
                over: asyncio.Future[ExitRecord] = asyncio.get_running_loop().create_future()
                over.set_result(last_exit(container))
                return over
            case WaitCondition.REMOVED:
                return self.waiters.removal(container.id)
            case _:
                return self.waiters.next_exit(container.id)

    async def resize(self, reference: str, *, rows: int, columns: int) -> None:
        """See `ContainerStreams.resize`."""
        await self.streams.resize(reference, rows=rows, columns=columns)

    async def attach(
        self, reference: str, request: AttachRequest
    ) -> AttachedStream | RecordedStream:
        """See `ContainerStreams.attach`."""
        return await self.streams.attach(reference, request)

    async def logs(self, reference: str, query: LogQuery) -> AsyncIterator[Sequence[LogLine]]:
        """See `ContainerLogs`."""
        return await self.reading(reference, query)

    async def logs_of_removed(self, reference: str, query: LogQuery) -> RemovedLines:
        """See `ContainerLogs.of_removed`."""
        return await self.reading.of_removed(reference, query)

    async def get(self, reference: str) -> Container:
        """See `ContainerQueries.get`."""
        return await self.queries.get(reference)

    async def inspect(self, reference: str, *, wants_size: bool = False) -> ContainerDetails:
        """See `ContainerQueries.inspect`."""
        return await self.queries.inspect(reference, wants_size=wants_size)

    async def list(self, query: ContainerQuery) -> Sequence[Container]:
        """See `ContainerQueries.list`."""
        return await self.queries.list(query)

    async def names_by_links(self) -> Mapping[ContainerId, Sequence[str]]:
        """See `ContainerQueries.names_by_links`."""
        return await self.queries.names_by_links()

    async def top(self, reference: str, ps_arguments: str) -> ProcessTable:
        """See `TopContainer`."""
        return await self.showing_processes(reference, ps_arguments)

    async def stats(self, reference: str) -> AsyncIterator[UsageSample]:
        """See `StatsCollector.watch`."""
        return await self.watching.watch(reference)

    async def stats_once(self, reference: str) -> UsageSample:
        """See `StatsCollector.once`."""
        return await self.watching.once(reference)
