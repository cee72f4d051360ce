"""What happens when a container ends, whoever ended it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from wherry.engine.containers.announcements import Announcements
from wherry.engine.containers.exit_records import with_exit
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.restarts import Restarts
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, OffloadPool, own_task
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerState
from wherry.model.tasks import ExitRecord
from wherry.networks import Networks
from wherry.tasks import Task

_log = logging.getLogger(__name__)


class ExitWatcher:
    """Waits for the end of every running container and records it."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        live: LiveContainers,
        networks: Networks,
        restarts: Restarts,
        volumes: ContainerVolumes,
        announcements: Announcements,
        remove: Callable[[ContainerId], Awaitable[None]],
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        """`remove` removes a container that asked to be removed when it ends (`--rm`)."""
        self._records = records
        self._locks = locks
        self._live = live
        self._networks = networks
        self._paths = paths
        self._restarts = restarts
        self._volumes = volumes
        self._announcements = announcements
        self._remove = remove
        self._offload = offload
        self._watching: set[asyncio.Task[None]] = set()

    def watch(self, container_id: ContainerId, task: Task) -> None:
        """Record the end of a task when it comes."""
        task.on_oom(lambda: self._announcements.out_of_memory(self._records.get(container_id)))
        watching = own_task(self._watch(container_id, task))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)

    async def remove_if_asked(self, container_id: ContainerId) -> None:
        """Remove a container that does not run and was created with `--rm`."""
        container = self._records.get(container_id)
        if container is None or container.is_alive or not container.spec.removes_itself:
            return
        await self._remove(container_id)

    async def close(self) -> None:
        """Stop watching; the containers go on."""
        for watching in tuple(self._watching):
            watching.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    async def _watch(self, container_id: ContainerId, task: Task) -> None:
        record = await task.wait()
        try:
            async with self._locks.held(container_id):
                await self._on_task_exit(container_id, task, record)
            await self.remove_if_asked(container_id)
        except Exception:
            _log.exception("exit.not_recorded container=%s", container_id)

    async def _on_task_exit(
        self, container_id: ContainerId, task: Task, record: ExitRecord
    ) -> None:
        """Give everything back, record the end, then tell those who wait."""
        container = self._records.find(container_id)
        ended = self._restarts.decided(with_exit(container, record))
        await asyncio.gather(
            self._given_back(container_id, "network", self._networks.detach(container_id)),
            self._records.note(ended),
            self._given_back(container_id, "task", task.delete()),
        )
        if record.lost_output_bytes:
            lost = record.lost_output_bytes
            _log.warning("output.lost container=%s bytes=%d", container_id, lost)
        await self._given_back(container_id, "volumes", self._volumes.release(container))
        erased = self._offload(self._paths.erase_bundle, container_id)
        await self._given_back(container_id, "bundle", erased)
        self._live.leave(container_id)
        self._announcements.ended(container, ended, record)
        if ended.status.state is ContainerState.RESTARTING:
            self._restarts.schedule(ended)

    async def _given_back(
        self, container_id: ContainerId, what: str, giving: Awaitable[object]
    ) -> None:
        """A failure is told, and left to the next boot: who waits for the end must not wait on."""
        try:
            await giving
        except Exception:
            _log.exception("exit.not_given_back container=%s what=%s", container_id, what)
