"""What happens in a container's life, from create to remove, and who tells whom about it."""

from collections.abc import Awaitable, Callable

from wherry.api.errors import message_of
from wherry.api.errors.execs import exec_refused
from wherry.engine.boot import Boot
from wherry.engine.containers.assembly import (
    ContainerAssembly,
    SeccompPrograms,
)
from wherry.engine.containers.confinement import AppArmorProfiles
from wherry.engine.containers.create import CreateContainer
from wherry.engine.containers.engine_defaults import EngineDefaults
from wherry.engine.containers.exec import ExecSessions
from wherry.engine.containers.exits import ExitWatcher
from wherry.engine.containers.health import HealthMonitor
from wherry.engine.containers.io import Attachments, ContainerStreams
from wherry.engine.containers.live import LiveContainers, Waiters
from wherry.engine.containers.log_feeding import Loggers
from wherry.engine.containers.log_reading import ContainerLogs
from wherry.engine.containers.plugin_logs import PluginLogs
from wherry.engine.containers.publishing import PublishedPorts
from wherry.engine.containers.query import ContainerQueries
from wherry.engine.containers.remove import RemoveContainer
from wherry.engine.containers.removed_logs import RemovedLogs
from wherry.engine.containers.rename import RenameContainer
from wherry.engine.containers.restarts import Restarts
from wherry.engine.containers.start import StartContainer
from wherry.engine.containers.stats import StatsCollector
from wherry.engine.containers.stop import PauseContainer, StopContainer
from wherry.engine.containers.update import UpdateContainer
from wherry.engine.containers.verbs import ContainerVerbs
from wherry.kit.values import dataclass
from wherry.linux import cgroups
from wherry.networks import Networks
from wherry.programs.defaults import (
    create_defaults,
    start_defaults,
)
from wherry.programs.ground import Ground
from wherry.programs.stores import Stores
from wherry.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerParts:
    """The verbs of containers, and what other services need of their making."""

    verbs: ContainerVerbs
    creating: CreateContainer
    defaults: EngineDefaults
    removing: RemoveContainer
    execs: ExecSessions
    live: LiveContainers
    logs: ContainerLogs
    removed_logs: RemovedLogs
    assembly: ContainerAssembly
    seccomp: SeccompPrograms
    boot: Boot
    closing: tuple[Callable[[], Awaitable[None]], ...]
    """What lets go of containers, in this order, and leaves them running."""

    async def close(self) -> None:
        """Let go of containers."""
        for close in self.closing:
            await close()


def container_parts(
    ground: Ground, stores: Stores, tasks: Tasks, networks: Networks
) -> ContainerParts:
    """Wire them. Restarts need starts, and exits need removals, that are made after them."""
    live = LiveContainers()
    waiters = Waiters()
    attachments = Attachments()
    seccomp = SeccompPrograms(ground.paths)
    assembly = ContainerAssembly(
        records=stores.records,
        live=live,
        snapshots=ground.snapshots,
        networks=networks,
        tasks=tasks,
        volumes=stores.users,
        seccomp=seccomp,
        apparmor=AppArmorProfiles(),
        paths=ground.paths,
        host=ground.host,
        init_binary=ground.settings.init_path,
        defaults=start_defaults(ground.settings),
        offload=ground.offload,
    )
    restarts = Restarts(records=stores.records, waiters=waiters, clock=ground.clock)
    exits = ExitWatcher(
        records=stores.records,
        locks=stores.locks,
        live=live,
        waiters=waiters,
        networks=networks,
        assembly=assembly,
        restarts=restarts,
        volumes=stores.users,
        events=stores.events,
        offload=ground.offload,
    )
    loggers = Loggers(
        records=stores.records,
        tasks=tasks,
        paths=ground.paths,
        plugins=ground.plugins,
        offload=ground.offload,
    )
    health = HealthMonitor(
        records=stores.records,
        locks=stores.locks,
        live=live,
        seccomp=seccomp,
        events=stores.events,
        host=ground.host,
        offload=ground.offload,
        told_as=exec_refused,
        clock=ground.clock,
    )
    start = StartContainer(
        records=stores.records,
        locks=stores.locks,
        assembly=assembly,
        live=live,
        attachments=attachments,
        exits=exits,
        health=health,
        loggers=loggers,
        events=stores.events,
        told_as=message_of,
        clock=ground.clock,
    )
    restarts.start_with(start.again)
    stop = StopContainer(
        records=stores.records,
        locks=stores.locks,
        live=live,
        waiters=waiters,
        start=start,
        restarts=restarts,
        events=stores.events,
    )
    execs = ExecSessions(
        records=stores.records,
        live=live,
        seccomp=seccomp,
        events=stores.events,
        host=ground.host,
        offload=ground.offload,
    )
    removed_logs = RemovedLogs(
        f"{ground.settings.data_root}/removed-logs",
        retention_days=ground.settings.log_retention_days,
        clock=ground.clock,
    )
    remove = RemoveContainer(
        records=stores.records,
        locks=stores.locks,
        stop=stop,
        waiters=waiters,
        attachments=attachments,
        snapshots=ground.snapshots,
        volumes=stores.users,
        events=stores.events,
        removed_logs=removed_logs,
        paths=ground.paths,
        offload=ground.offload,
    )
    exits.remove_with(remove.after_exit)
    logs = ContainerLogs(
        records=stores.records,
        waiters=waiters,
        removed=removed_logs,
        of_plugins=PluginLogs(plugins=ground.plugins, offload=ground.offload),
        paths=ground.paths,
        offload=ground.offload,
    )
    defaults = EngineDefaults(
        create_defaults(ground.settings),
        records=stores.records,
        networks=networks,
        host=ground.host,
    )
    create = CreateContainer(
        records=stores.records,
        images=stores.images,
        snapshots=ground.snapshots,
        networks=networks,
        events=stores.events,
        paths=ground.paths,
        volumes=stores.users,
        plugins=ground.plugins,
        host=ground.host,
        defaults=defaults,
        offload=ground.offload,
        clock=ground.clock,
    )
    layout = cgroups.discover()
    watching = StatsCollector(
        records=stores.records, layout=layout, offload=ground.offload, clock=ground.clock
    )
    verbs = ContainerVerbs(
        creating=create,
        starting=start,
        stopping=stop,
        pausing=PauseContainer(
            records=stores.records,
            locks=stores.locks,
            live=live,
            health=health,
            events=stores.events,
        ),
        watching=watching,
        updating=UpdateContainer(
            records=stores.records,
            locks=stores.locks,
            events=stores.events,
            paths=ground.paths,
            host=ground.host,
            layout=layout,
            ports=PublishedPorts(
                networks=networks,
                assembly=assembly,
                paths=ground.paths,
                offload=ground.offload,
            ),
            offload=ground.offload,
        ),
        renaming=RenameContainer(records=stores.records, locks=stores.locks, events=stores.events),
        removing=remove,
        streams=ContainerStreams(
            records=stores.records,
            live=live,
            attachments=attachments,
            logs=logs,
            events=stores.events,
        ),
        reading=logs,
        queries=ContainerQueries(
            records=stores.records,
            live=live,
            execs=execs,
            images=stores.images,
            snapshots=ground.snapshots,
            volumes=stores.users,
            paths=ground.paths,
            offload=ground.offload,
            events=stores.events,
        ),
        waiters=waiters,
    )
    boot = Boot(
        database=ground.database,
        records=stores.records,
        live=live,
        tasks=tasks,
        networks=networks,
        assembly=assembly,
        snapshots=ground.snapshots,
        images=stores.images,
        volumes=stores.users,
        exits=exits,
        health=health,
        loggers=loggers,
        remove=remove,
        restarts=restarts,
        paths=ground.paths,
        offload=ground.offload,
        clock=ground.clock,
    )
    return ContainerParts(
        verbs=verbs,
        creating=create,
        defaults=defaults,
        removing=remove,
        execs=execs,
        live=live,
        logs=logs,
        removed_logs=removed_logs,
        assembly=assembly,
        seccomp=seccomp,
        boot=boot,
        closing=(
            watching.close,
            restarts.close,
            health.close,
            loggers.close,
            exits.close,
            execs.close,
        ),
    )
