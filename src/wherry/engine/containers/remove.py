"""Forgetting a container: its row first, then its files; boot sweeps what a crash left."""

import logging

from wherry.engine.containers.disk import ContainerDisk
from wherry.engine.containers.exit_records import last_exit
from wherry.engine.containers.io import Attachments
from wherry.engine.containers.links import split_reference
from wherry.engine.containers.live import Waiters
from wherry.engine.containers.stop import StopContainer
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, OffloadPool
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.errors.containers import ContainerRunning, NothingToKill, RemovalInProgress
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerEvent, ContainerState, next_state

_log = logging.getLogger(__name__)


class RemoveContainer:
    """The verb `rm`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        stop: StopContainer,
        waiters: Waiters,
        attachments: Attachments,
        volumes: ContainerVolumes,
        events: EventLog,
        disk: ContainerDisk,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._locks = locks
        self._stop = stop
        self._waiters = waiters
        self._attachments = attachments
        self._volumes = volumes
        self._events = events
        self._disk = disk
        self._offload = offload

    async def __call__(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        removes_volumes: bool = False,
        removes_link: bool = False,
    ) -> None:
        """Remove a container that is not running; with `is_forced`, kill it before.

        With `removes_volumes`, the anonymous ones that no other container has go as well.

        With `removes_link`, the reference is `web/store`, and only the link goes.

        Raises: ContainerNotFound, ContainerRunning, RemovalInProgress, InvalidValue.
        """
        if removes_link:
            await self._remove_link(reference)
            return
        container = self._records.find(reference)
        if container.counts_as_running:
            if not is_forced:
                raise ContainerRunning(container.id, container.status.state.value)
            await self._end(container)
        async with self._locks.held(container.id):
            current = self._records.get(container.id)
            if current is None:
                return
            if current.counts_as_running:
                raise ContainerRunning(current.id, current.status.state.value)
            await self._remove(current)
        if removes_volumes:
            await self._volumes.remove_anonymous(current)

    async def after_exit(self, container_id: ContainerId) -> None:
        """Remove a container that asked for it; one that somebody removed first is fine."""
        container = self._records.get(container_id)
        if container is not None and not container.counts_as_running:
            async with self._locks.held(container_id):
                current = self._records.get(container_id)
                if current is not None and not current.counts_as_running:
                    await self._remove(current)
                    await self._volumes.remove_anonymous(current)

    async def _remove_link(self, reference: str) -> None:
        container, link = split_reference(reference, self._records)
        async with self._locks.held(container.id):
            current = self._records.find(container.id)
            network = current.spec.network
            kept = tuple(each for each in network.links if each != link)
            spec = replace(current.spec, network=replace(network, links=kept))
            await self._records.replace(replace(current, spec=spec))

    async def _end(self, container: Container) -> None:
        try:
            await self._stop.kill(container.id, signal="SIGKILL")
        except NothingToKill:
            return

    async def _remove(self, container: Container) -> None:
        if container.status.state is ContainerState.REMOVING:
            raise RemovalInProgress(container.id)
        state = next_state(container.status.state, ContainerEvent.REMOVAL_BEGUN)
        self._records.show(replace(container, status=replace(container.status, state=state)))
        try:
            await self._records.remove(container)
        except BaseException:
            self._records.show(container)
            raise
        self._attachments.drop(container.id)
        try:
            await self._offload(self._disk.erase, container)
        except Exception:
            # Its row has gone, so it is removed; the next boot sweeps what is left.
            _log.exception("container.files_left container=%s", container.id)
        self._events.container("destroy", container)
        self._waiters.removed(container.id, replace(last_exit(container), error=""))
