"""A container that an earlier engine has left: its record is compared with its shim.

Either its task lives, and is watched again; or it ended meanwhile and its exit record says how;
or nothing is known of it. A task that no record knows as started was never acknowledged: it ends.
"""

import logging

from wherry.engine.containers.announcements import Announcements
from wherry.engine.containers.attach_requests import AttachRequests
from wherry.engine.containers.exit_records import with_exit
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.restarts import Restarts
from wherry.engine.containers.watchers import Watchers
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.clock import Clock
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.errors import WherryError
from wherry.model.tasks import ExitRecord
from wherry.networks import Networks
from wherry.tasks import Task, Tasks

EXIT_UNKNOWN = 255

_log = logging.getLogger(__name__)


class TakeOver:
    """Takes containers over, one by one, at a boot."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        tasks: Tasks,
        networks: Networks,
        attach_requests: AttachRequests,
        announcements: Announcements,
        watchers: Watchers,
        restarts: Restarts,
        paths: ContainerPaths,
        clock: Clock,
    ) -> None:
        self._records = records
        self._live = live
        self._tasks = tasks
        self._networks = networks
        self._attach_requests = attach_requests
        self._announcements = announcements
        self._watchers = watchers
        self._restarts = restarts
        self._paths = paths
        self._clock = clock

    async def __call__(self, container: Container) -> None:
        """One that can't be taken over is told in the log, and keeps no other from its turn."""
        try:
            await self._take_over(container)
        except (OSError, WherryError):
            _log.exception("boot.take_over_failed container=%s", container.id)

    async def _take_over(self, container: Container) -> None:
        found = await self._tasks.reattach(
            container.id,
            self._paths.bundle(container.id),
            self._paths.record_directory(container.id),
        )
        if container.is_alive:
            match found:
                case Task():
                    await self._adopt(container, found)
                case ExitRecord():
                    await self._record_exit(container, found)
                case None:
                    await self._record_exit(container, self._unknown_exit())
        elif isinstance(found, Task):
            _log.warning("boot.unacknowledged_start container=%s", container.id)
            await found.discard()

    async def _adopt(self, container: Container, task: Task) -> None:
        request = self._attach_requests.of_running(container)
        sandbox = await self._networks.restore(request, container.endpoints)
        self._live.enter(container.id, task, sandbox)
        if container.status.pid != task.pid:
            await self._records.note(
                replace(container, status=replace(container.status, pid=task.pid))
            )
        await self._watchers.resume(container, task)

    async def _record_exit(self, container: Container, record: ExitRecord) -> None:
        ended = self._restarts.decided(with_exit(container, record))
        await self._records.note(ended)
        await self._networks.give_back(container.endpoints)
        self._announcements.ended(container, ended, record)

    def _unknown_exit(self) -> ExitRecord:
        return ExitRecord(
            exit_code=EXIT_UNKNOWN,
            exited_at_ns=self._clock.now_ns(),
            error="ended while no engine was running, and left no record: was the host restarted?",
        )
