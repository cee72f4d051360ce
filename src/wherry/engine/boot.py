"""From what the last engine left to a consistent world, before the first request is served.

Containers are never stopped by a boot, but for those that ran steps of a build, which died with
the engine. Each other record that says RUNNING is compared with its shim: it lives and is watched
again, or it ended meanwhile and its own record says how, or nothing is known of it. What belongs
to no record is removed, unless records were lost: then it stays.
"""

import asyncio
import logging
import shutil

from wherry.engine.containers.assembly import ContainerAssembly
from wherry.engine.containers.exits import ExitWatcher, with_exit
from wherry.engine.containers.health import HealthMonitor
from wherry.engine.containers.image_mounts import snapshots_of
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.log_feeding import Loggers
from wherry.engine.containers.remove import RemoveContainer
from wherry.engine.containers.restarts import Restarts
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.kit.directories import remove_directory
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.errors import WherryError
from wherry.model.ids import SnapshotKey
from wherry.model.lifecycle import ContainerState
from wherry.model.tasks import ExitRecord
from wherry.networks import Networks
from wherry.snapshots import Snapshots
from wherry.store import Database
from wherry.tasks import Task, Tasks

EXIT_UNKNOWN = 255

_log = logging.getLogger(__name__)


class Boot:
    """Reconciles records with shims, networks and directories."""

    def __init__(
        self,
        *,
        database: Database,
        records: ContainerRecords,
        live: LiveContainers,
        tasks: Tasks,
        networks: Networks,
        assembly: ContainerAssembly,
        snapshots: Snapshots,
        images: ImageStore,
        volumes: ContainerVolumes,
        exits: ExitWatcher,
        health: HealthMonitor,
        loggers: Loggers,
        remove: RemoveContainer,
        restarts: Restarts,
        paths: ContainerPaths,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._database = database
        self._records = records
        self._live = live
        self._tasks = tasks
        self._networks = networks
        self._assembly = assembly
        self._snapshots = snapshots
        self._images = images
        self._volumes = volumes
        self._exits = exits
        self._health = health
        self._loggers = loggers
        self._remove = remove
        self._restarts = restarts
        self._paths = paths
        self._offload = offload
        self._clock = clock

    async def reconcile(self) -> None:
        """Take over what lives, record what ended, sweep what is nobody's."""
        self._records.load()
        known = list(self._records.all())
        await self._offload(self._check_snapshots)
        await asyncio.gather(*(self._take_over_or_tell(each) for each in known))
        await self._networks.sweep(self._live.ids())
        await self._volumes.take_over()
        await self._end_steps()
        await self._offload(self._sweep_files)
        for container in list(self._records.all()):
            if container.spec.removes_itself and container.status.state is ContainerState.EXITED:
                await self._remove.after_exit(container.id)
        await self._restarts.resume()

    async def _end_steps(self) -> None:
        """End and remove what ran for builds of the last engine."""
        for step in [each for each in self._records.all() if each.spec.ends_with_engine]:
            try:
                await self._remove(step.id, is_forced=True, removes_volumes=True)
            except (OSError, WherryError):
                _log.exception("boot.step_left container=%s", step.id)

    async def _take_over_or_tell(self, container: Container) -> None:
        """One container that can't be taken over must not keep the others from being served."""
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
        request = self._assembly.restore_request(container)
        sandbox = await self._networks.restore(request, container.endpoints)
        self._live.enter(container.id, task, sandbox)
        if container.status.pid != task.pid:
            await self._records.note(
                replace(container, status=replace(container.status, pid=task.pid))
            )
        self._exits.watch(container.id, task)
        self._health.watch(container, task)
        await self._loggers.resume(container)

    async def _record_exit(self, container: Container, record: ExitRecord) -> None:
        ended = self._restarts.decided(with_exit(container, record))
        await self._records.note(ended)
        await self._networks.give_back(container.endpoints)
        self._exits.announce(container, ended, record)

    def _unknown_exit(self) -> ExitRecord:
        return ExitRecord(
            exit_code=EXIT_UNKNOWN,
            exited_at_ns=self._clock.now_ns(),
            error="ended while no engine was running, and left no record: was the host restarted?",
        )

    def _check_snapshots(self) -> None:
        """What each container writes to must stand on what its image says."""
        images = {each.id: each for each in self._images.list()}
        for container in self._records.all():
            image = images.get(container.image_id) if container.image_id else None
            if image is not None:
                self._snapshots.expect(SnapshotKey(container.id), image.chain_id)

    def _sweep_files(self) -> None:
        known = {each.id for each in self._records.all()}
        living = {key for each in self._records.all() for key in snapshots_of(each)}
        recorded, bundles = self._paths.containers_on_disk()
        if self._database.has_lost:
            _log.warning("boot.strangers_kept containers=%s", len(recorded - known))
            return
        unreadable = self._records.set_aside()
        known |= unreadable
        living |= {SnapshotKey(each) for each in unreadable}
        for stranger in recorded - known:
            try:
                remove_directory(self._paths.record_directory(stranger))
            except OSError as error:
                _log.warning("boot.files_left container=%s problem=%s", stranger, error)
        for ended in bundles - self._live.ids() - unreadable:
            shutil.rmtree(self._paths.bundle(ended), ignore_errors=True)
        self._snapshots.sweep(living)
        self._images.sweep()
