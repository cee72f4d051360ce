"""Containers that have a volume mounted, and what they do while it is copied or replaced."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from wherry.engine.containers.start import StartContainer
from wherry.engine.containers.stop import PauseContainer, StopContainer
from wherry.engine.containers.volumes import mount_is_read_only
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import UndoStack
from wherry.model.containers import Container, VolumeMount
from wherry.model.errors.containers import ContainerNotFound
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerState
from wherry.model.volumes import Consistency


class VolumeWriters:
    """Keeps them off for a while."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        starting: StartContainer,
        stopping: StopContainer,
        pausing: PauseContainer,
    ) -> None:
        self._records = records
        self._starting = starting
        self._stopping = stopping
        self._pausing = pausing

    @asynccontextmanager
    async def kept_off(self, name: str, consistency: Consistency) -> AsyncIterator[Sequence[str]]:
        """Who still writes to a volume inside of the block, by name."""
        writers = self._of(name)
        async with AsyncExitStack() as kept_off:
            for each in writers:
                if consistency is Consistency.PAUSE:
                    await kept_off.enter_async_context(self._pausing.held_still(each.id))
                elif consistency is Consistency.STOP:
                    await kept_off.enter_async_context(self._stopped(each))
            left = [each.name for each in self._of(name) if not _is_frozen(each)]
            yield left

    def _of(self, name: str) -> Sequence[Container]:
        return [
            each
            for each in self._records.all()
            if each.is_alive
            and any(
                isinstance(mount, VolumeMount)
                and mount.name == name
                and not mount_is_read_only(mount)
                for mount in each.spec.mounts
            )
        ]

    @asynccontextmanager
    async def stopped(self, ids: Collection[ContainerId]) -> AsyncIterator[None]:
        """Those of these containers that run are stopped inside of the block."""
        running = [each for each in self._records.all() if each.is_alive and each.id in ids]
        async with AsyncExitStack() as stopped:
            for each in running:
                await stopped.enter_async_context(self._stopped(each))
            yield

    @asynccontextmanager
    async def _stopped(self, container: Container) -> AsyncIterator[None]:
        """Stopped meanwhile, and started again however the block ends."""
        async with UndoStack() as undo:
            undo.push(self._start, container)
            await self._stopping.stop(container.id)
            yield

    async def _start(self, container: Container) -> None:
        with suppress(ContainerNotFound):  # one with --rm is gone
            await self._starting(container.id)


def _is_frozen(container: Container) -> bool:
    return container.status.state is ContainerState.PAUSED
