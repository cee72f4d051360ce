"""What happens between a container's start and its removal, and who tells whom about it."""

from functools import cached_property

from wherry.api.errors import message_of
from wherry.api.errors.execs import exec_refused
from wherry.engine.boot import Boot
from wherry.engine.containers.announcements import Announcements
from wherry.engine.containers.assembly import ContainerAssembly
from wherry.engine.containers.attach_requests import AttachRequests
from wherry.engine.containers.confinement import AppArmorProfiles
from wherry.engine.containers.disk import ContainerDisk
from wherry.engine.containers.exec_requests import ExecRequests
from wherry.engine.containers.exits import ExitWatcher
from wherry.engine.containers.health import HealthMonitor
from wherry.engine.containers.io import Attachments
from wherry.engine.containers.live import LiveContainers, Waiters
from wherry.engine.containers.log_feeding import Loggers
from wherry.engine.containers.remove import RemoveContainer
from wherry.engine.containers.removed_logs import RemovedLogs
from wherry.engine.containers.restarts import Restarts
from wherry.engine.containers.seccomp_programs import SeccompPrograms
from wherry.engine.containers.spawn_requests import SpawnRequests
from wherry.engine.containers.start import StartContainer
from wherry.engine.containers.stop import StopContainer
from wherry.engine.containers.taking_over import TakeOver
from wherry.engine.containers.watchers import Watchers
from wherry.engine.stock_taking import StockTaking
from wherry.networks import Networks
from wherry.programs.defaults import network_defaults, runtime_defaults
from wherry.programs.ground import Ground
from wherry.programs.stores import Stores
from wherry.tasks import Tasks


class LifeParts:
    """Each part is made when it is first wanted, of others that are made in the same way.

    So they may need each other in a circle: a start has the exit watched, an exit may plan a
    restart, which is a start.
    """

    def __init__(self, ground: Ground, stores: Stores, tasks: Tasks, networks: Networks) -> None:
        self._ground = ground
        self._stores = stores
        self._tasks = tasks
        self._networks = networks
        self.live = LiveContainers()
        self.waiters = Waiters()
        self.attachments = Attachments()
        self.seccomp = SeccompPrograms(ground.paths)
        self.removed_logs = RemovedLogs(
            f"{ground.settings.data_root}/removed-logs",
            retention_days=ground.settings.log_retention_days,
            clock=ground.clock,
        )
        self.disk = ContainerDisk(
            images=stores.images,
            snapshots=ground.snapshots,
            removed_logs=self.removed_logs,
            paths=ground.paths,
        )

    @cached_property
    def boot(self) -> Boot:
        return Boot(
            records=self._stores.records,
            stock=StockTaking(
                database=self._ground.database,
                records=self._stores.records,
                snapshots=self._ground.snapshots,
                images=self._stores.images,
                paths=self._ground.paths,
            ),
            take_over=self._take_over,
            live=self.live,
            networks=self._networks,
            volumes=self._stores.users,
            remove=self.remove,
            restarts=self.restarts,
            offload=self._ground.offload,
        )

    @cached_property
    def _take_over(self) -> TakeOver:
        return TakeOver(
            records=self._stores.records,
            live=self.live,
            tasks=self._tasks,
            networks=self._networks,
            attach_requests=self.attach_requests,
            announcements=self._announcements,
            watchers=self.watchers,
            restarts=self.restarts,
            paths=self._ground.paths,
            clock=self._ground.clock,
        )

    @cached_property
    def start(self) -> StartContainer:
        return StartContainer(
            records=self._stores.records,
            locks=self._stores.locks,
            assembly=self._assembly,
            live=self.live,
            attachments=self.attachments,
            exits=self._exits,
            watchers=self.watchers,
            announcements=self._announcements,
            told_as=message_of,
            clock=self._ground.clock,
        )

    @cached_property
    def _assembly(self) -> ContainerAssembly:
        return ContainerAssembly(
            records=self._stores.records,
            live=self.live,
            networks=self._networks,
            tasks=self._tasks,
            volumes=self._stores.users,
            attach_requests=self.attach_requests,
            spawn_requests=self.spawn_requests,
            paths=self._ground.paths,
            offload=self._ground.offload,
        )

    @cached_property
    def attach_requests(self) -> AttachRequests:
        return AttachRequests(
            records=self._stores.records,
            live=self.live,
            paths=self._ground.paths,
            host=self._ground.host,
            defaults=network_defaults(self._ground.settings),
        )

    @cached_property
    def spawn_requests(self) -> SpawnRequests:
        return SpawnRequests(
            records=self._stores.records,
            snapshots=self._ground.snapshots,
            seccomp=self.seccomp,
            apparmor=AppArmorProfiles(),
            paths=self._ground.paths,
            host=self._ground.host,
            init_binary=self._ground.settings.init_path,
            defaults=runtime_defaults(self._ground.settings),
        )

    @cached_property
    def watchers(self) -> Watchers:
        return Watchers(self._exits, self.health, self._loggers)

    @cached_property
    def _exits(self) -> ExitWatcher:
        return ExitWatcher(
            records=self._stores.records,
            locks=self._stores.locks,
            live=self.live,
            networks=self._networks,
            restarts=self.restarts,
            volumes=self._stores.users,
            announcements=self._announcements,
            remove=lambda container_id: self.remove.after_exit(container_id),
            paths=self._ground.paths,
            offload=self._ground.offload,
        )

    @cached_property
    def _announcements(self) -> Announcements:
        return Announcements(
            networks=self._networks,
            volumes=self._stores.users,
            events=self._stores.events,
            waiters=self.waiters,
        )

    @cached_property
    def health(self) -> HealthMonitor:
        return HealthMonitor(
            records=self._stores.records,
            locks=self._stores.locks,
            live=self.live,
            requests=self.exec_requests,
            events=self._stores.events,
            told_as=exec_refused,
            clock=self._ground.clock,
        )

    @cached_property
    def exec_requests(self) -> ExecRequests:
        return ExecRequests(
            records=self._stores.records,
            seccomp=self.seccomp,
            host=self._ground.host,
            offload=self._ground.offload,
        )

    @cached_property
    def _loggers(self) -> Loggers:
        return Loggers(
            records=self._stores.records,
            tasks=self._tasks,
            paths=self._ground.paths,
            plugins=self._ground.plugins,
            offload=self._ground.offload,
        )

    @cached_property
    def restarts(self) -> Restarts:
        return Restarts(
            records=self._stores.records,
            waiters=self.waiters,
            start=lambda container_id: self.start.again(container_id),
            clock=self._ground.clock,
        )

    @cached_property
    def stop(self) -> StopContainer:
        return StopContainer(
            records=self._stores.records,
            locks=self._stores.locks,
            live=self.live,
            waiters=self.waiters,
            start=self.start,
            restarts=self.restarts,
            events=self._stores.events,
        )

    @cached_property
    def remove(self) -> RemoveContainer:
        return RemoveContainer(
            records=self._stores.records,
            locks=self._stores.locks,
            stop=self.stop,
            waiters=self.waiters,
            attachments=self.attachments,
            disk=self.disk,
            volumes=self._stores.users,
            events=self._stores.events,
            offload=self._ground.offload,
        )

    async def close(self) -> None:
        """Let go of containers; they run on."""
        await self.restarts.close()
        await self.watchers.close()
