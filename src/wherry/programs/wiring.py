"""Which object gets which collaborator. The only place that knows all rooms at once."""

import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from ipaddress import ip_network

from wherry.api.errors import message_of
from wherry.api.services import Services
from wherry.build import MIGRATIONS as BUILD_MIGRATIONS
from wherry.build import BuildCache
from wherry.engine.boot import Boot
from wherry.engine.building import Builds, ImageBuilder, StepContainers
from wherry.engine.containers.assembly import (
    ContainerAssembly,
    SeccompPrograms,
    StartDefaults,
)
from wherry.engine.containers.commit import CommitContainer
from wherry.engine.containers.confinement import AppArmorProfiles
from wherry.engine.containers.create import CreateContainer, CreateDefaults
from wherry.engine.containers.exec import ExecSessions
from wherry.engine.containers.exits import ExitWatcher
from wherry.engine.containers.files import ContainerFiles
from wherry.engine.containers.health import HealthMonitor
from wherry.engine.containers.io import Attachments, ContainerStreams
from wherry.engine.containers.live import LiveContainers, Waiters
from wherry.engine.containers.log_feeding import Loggers
from wherry.engine.containers.log_reading import ContainerLogs
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
from wherry.engine.containers.views import ContainerViews
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.containers.why import Reasons
from wherry.engine.disk_usage import DiskUsage
from wherry.engine.event_journal import EventJournal
from wherry.engine.events import EventLog
from wherry.engine.explain import Explanations
from wherry.engine.images import ImageVerbs
from wherry.engine.networks import NetworkVerbs
from wherry.engine.paths import ContainerPaths
from wherry.engine.prune import Prunes
from wherry.engine.records import MIGRATIONS as ENGINE_MIGRATIONS
from wherry.engine.records import ContainerRecords
from wherry.engine.registries import RegistryVerbs
from wherry.engine.runtimes import RuntimeTable
from wherry.engine.system import EngineIdentity, SystemQueries
from wherry.engine.volumes import VolumeVerbs
from wherry.images import ImagePulls, ImagePushes, ImageStore
from wherry.kit.aio import KeyedLock, OffloadPool
from wherry.kit.clock import SystemClock
from wherry.linux import cgroups
from wherry.model.containers import LogSpec
from wherry.model.limits import Ulimit
from wherry.networks import MIGRATIONS as NETWORK_MIGRATIONS
from wherry.networks import NetdKeeper, Networks, NetworkTable
from wherry.oci.image_spec import Platform
from wherry.programs import netd as netd_program
from wherry.programs.daemon_values import DEFAULT_LOG_OPTIONS
from wherry.programs.reloading import reload_attributes
from wherry.programs.remapping import remapped_ids
from wherry.programs.settings import Settings, seccomp_profile_text
from wherry.programs.version import VERSION
from wherry.registry import RegistryClient, RegistrySettings
from wherry.snapshots import Snapshots, open_snapshots
from wherry.specgen import HostFacts, container_seccomp, read_host_facts
from wherry.store import Database
from wherry.tasks import Tasks
from wherry.volumes import MIGRATIONS as VOLUME_MIGRATIONS
from wherry.volumes import Volumes

UNPACKING_THREADS = 4
"""Threads that unpack layers and may wait for the network; no other work waits for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What everything stands on: roots, database, layers, time, threads, and facts of the host.

    Where it can't be laid the engine does not start, and nothing in the kernel was made yet.
    """

    settings: Settings
    paths: ContainerPaths
    database: Database
    snapshots: Snapshots
    offload: OffloadPool
    clock: SystemClock
    host: HostFacts
    engine_id: str


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """What the program needs of a booted engine."""

    services: Services
    reload: Callable[[Settings], None]
    """Take over settings that differ in what may change while the engine runs."""


@contextlib.asynccontextmanager
async def running_engine(settings: Settings) -> AsyncIterator[RunningEngine]:
    """The engine, booted; leaving the block lets go of containers and leaves them running."""
    ground = _lay_ground(settings)
    tasks = Tasks(exec_root=settings.exec_root, offload=ground.offload, clock=ground.clock)
    networks = _networks(ground, tasks)
    try:
        await tasks.open()
        await networks.open()
        async with _wired(ground, tasks, networks) as running:
            yield running
    finally:
        await networks.close()
        await tasks.close()
        ground.offload.close()
        ground.database.close()


@contextlib.asynccontextmanager
async def _wired(
    ground: _Ground, tasks: Tasks, networks: Networks
) -> AsyncIterator[RunningEngine]:
    records = ContainerRecords(ground.database, ground.offload)
    event_journal = EventJournal(f"{ground.settings.data_root}/events.log")
    events = EventLog(ground.clock, event_journal, ground.offload)
    locks = KeyedLock()
    live = LiveContainers()
    waiters = Waiters()
    attachments = Attachments()
    snapshots = ground.snapshots
    images = ImageStore(ground.settings.data_root, ground.database, snapshots)
    build_cache = BuildCache(ground.database)
    images.keep_also(build_cache.roots)
    volumes = Volumes(ground.settings.data_root, ground.database, ground.clock)
    container_volumes = ContainerVolumes(
        records=records,
        volumes=volumes,
        tasks=tasks,
        events=events,
        offload=ground.offload,
    )
    views = ContainerViews(
        records=records,
        locks=locks,
        snapshots=snapshots,
        volumes=volumes,
        tasks=tasks,
        paths=ground.paths,
        host=ground.host,
        offload=ground.offload,
    )
    seccomp = SeccompPrograms(ground.paths)
    assembly = ContainerAssembly(
        records=records,
        live=live,
        snapshots=snapshots,
        networks=networks,
        tasks=tasks,
        volumes=container_volumes,
        seccomp=seccomp,
        apparmor=AppArmorProfiles(),
        paths=ground.paths,
        host=ground.host,
        runtimes=_runtimes(ground.settings),
        init_binary=ground.settings.init_path,
        defaults=_start_defaults(ground.settings),
        offload=ground.offload,
    )
    restarts = Restarts(records=records, waiters=waiters, clock=ground.clock)
    exits = ExitWatcher(
        records=records,
        locks=locks,
        live=live,
        waiters=waiters,
        networks=networks,
        assembly=assembly,
        restarts=restarts,
        volumes=container_volumes,
        events=events,
        offload=ground.offload,
    )
    loggers = Loggers(records=records, tasks=tasks, paths=ground.paths)
    health = HealthMonitor(
        records=records,
        locks=locks,
        live=live,
        seccomp=seccomp,
        events=events,
        host=ground.host,
        offload=ground.offload,
        clock=ground.clock,
    )
    start = StartContainer(
        records=records,
        locks=locks,
        assembly=assembly,
        live=live,
        attachments=attachments,
        exits=exits,
        health=health,
        loggers=loggers,
        events=events,
        told_as=message_of,
        clock=ground.clock,
    )
    restarts.start_with(start.again)
    stop = StopContainer(
        records=records,
        locks=locks,
        live=live,
        waiters=waiters,
        start=start,
        restarts=restarts,
        events=events,
    )
    execs = ExecSessions(
        records=records,
        live=live,
        seccomp=seccomp,
        events=events,
        host=ground.host,
        offload=ground.offload,
    )
    removed_logs = RemovedLogs(
        f"{ground.settings.data_root}/removed-logs",
        retention_days=ground.settings.log_retention_days,
        clock=ground.clock,
    )
    remove = RemoveContainer(
        records=records,
        locks=locks,
        stop=stop,
        waiters=waiters,
        attachments=attachments,
        snapshots=snapshots,
        volumes=container_volumes,
        events=events,
        removed_logs=removed_logs,
        paths=ground.paths,
        offload=ground.offload,
    )
    exits.remove_with(remove.after_exit)
    logs = ContainerLogs(
        records=records,
        waiters=waiters,
        removed=removed_logs,
        paths=ground.paths,
        offload=ground.offload,
    )
    create = CreateContainer(
        records=records,
        images=images,
        snapshots=snapshots,
        networks=networks,
        events=events,
        paths=ground.paths,
        volumes=container_volumes,
        host=ground.host,
        defaults=_create_defaults(ground.settings),
        offload=ground.offload,
        clock=ground.clock,
    )
    layout = cgroups.discover()
    watching = StatsCollector(
        records=records, layout=layout, offload=ground.offload, clock=ground.clock
    )
    containers = ContainerVerbs(
        creating=create,
        starting=start,
        stopping=stop,
        pausing=PauseContainer(records=records, locks=locks, live=live, events=events),
        watching=watching,
        updating=UpdateContainer(
            records=records,
            locks=locks,
            events=events,
            paths=ground.paths,
            host=ground.host,
            layout=layout,
            offload=ground.offload,
        ),
        renaming=RenameContainer(records=records, locks=locks, events=events),
        removing=remove,
        streams=ContainerStreams(
            records=records, live=live, attachments=attachments, logs=logs, events=events
        ),
        reading=logs,
        queries=ContainerQueries(
            records=records,
            live=live,
            execs=execs,
            images=images,
            snapshots=snapshots,
            paths=ground.paths,
            offload=ground.offload,
            events=events,
        ),
        waiters=waiters,
    )
    image_verbs = ImageVerbs(
        store=images,
        snapshots=snapshots,
        records=records,
        events=events,
        offload=ground.offload,
        clock=ground.clock,
    )
    system = SystemQueries(
        identity=_identity(ground, ground.settings),
        records=records,
        images=images,
        snapshots=snapshots,
        volumes=volumes,
        events=events,
        host=ground.host,
        clock=ground.clock,
    )
    network_verbs = NetworkVerbs(
        networks=networks, records=records, locks=locks, assembly=assembly, events=events
    )
    boot = Boot(
        records=records,
        live=live,
        tasks=tasks,
        networks=networks,
        snapshots=snapshots,
        images=images,
        volumes=container_volumes,
        exits=exits,
        health=health,
        loggers=loggers,
        remove=remove,
        restarts=restarts,
        paths=ground.paths,
        offload=ground.offload,
        clock=ground.clock,
    )
    await boot.reconcile()

    transfers = _transfers(ground, images)

    def reload(settings: Settings) -> None:
        create.use_defaults(_create_defaults(settings))
        system.use_identity(_identity(ground, settings))
        transfers.adopt(settings)
        name = os.uname().nodename
        events.publish(
            "daemon", "reload", ground.engine_id, {**reload_attributes(settings), "name": name}
        )

    def make_builder() -> ImageBuilder:
        # Seldom wanted at once: what has never built has no builder in memory.
        from wherry.build.service import BuildGround, BuildService

        build_ground = BuildGround(
            store=images,
            snapshots=snapshots,
            cache=build_cache,
            tasks=tasks,
            offload=ground.offload,
            clock=ground.clock,
            staging=f"{ground.settings.data_root}/tmp",
            architecture=ground.host.architecture,
        )
        return BuildService(build_ground, StepContainers(create, containers))

    registries = RegistryVerbs(
        store=images,
        client=transfers.client,
        pulls=transfers.pulls,
        pushes=transfers.pushes,
        events=events,
        host=Platform(os="linux", architecture=ground.host.architecture),
    )
    try:
        services = Services(
            containers=containers,
            execs=execs,
            images=image_verbs,
            builds=Builds(
                make_builder=make_builder,
                cache=build_cache,
                store=images,
                registries=registries,
                events=events,
                offload=ground.offload,
                clock=ground.clock,
            ),
            registries=registries,
            networks=network_verbs,
            system=system,
            commits=CommitContainer(
                records=records,
                images=images,
                snapshots=snapshots,
                pausing=containers.pausing,
                events=events,
                offload=ground.offload,
            ),
            files=ContainerFiles(
                records=records, views=views, events=events, offload=ground.offload
            ),
            volumes=VolumeVerbs(
                volumes=volumes, users=container_volumes, events=events, offload=ground.offload
            ),
            events=events,
            reasons=Reasons(
                records=records, journal=event_journal, logs=logs, offload=ground.offload
            ),
            explanations=Explanations(
                records,
                ground.paths,
                ground.offload,
                lambda container: seccomp.path_of(
                    container_seccomp(container.spec.security, ground.host)
                ),
            ),
            prunes=Prunes(
                records=records,
                removing=remove,
                images=image_verbs,
                store=images,
                snapshots=snapshots,
                networks=network_verbs,
                events=events,
                offload=ground.offload,
                clock=ground.clock,
            ),
            disk_usage=DiskUsage(
                records=records, images=images, snapshots=snapshots, offload=ground.offload
            ),
        )
        yield RunningEngine(services, reload)
    finally:
        await watching.close()
        await restarts.close()
        await health.close()
        await transfers.close()
        await loggers.close()
        await exits.close()
        await execs.close()
        event_journal.close()


def _lay_ground(settings: Settings) -> _Ground:
    host = read_host_facts()
    if settings.userns_remap:
        os.makedirs(settings.data_root, mode=0o711, exist_ok=True)
        os.chmod(settings.data_root, 0o711)
        host = replace(host, remapped=remapped_ids(settings.userns_remap))
        settings = replace(settings, data_root=_root_of_mapping(settings.data_root, host))
    for path, mode in (
        (settings.data_root, 0o710),
        (f"{settings.data_root}/containers", 0o710),
        (settings.exec_root, 0o711),
        (f"{settings.exec_root}/containers", 0o710),
    ):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
    database = Database(
        f"{settings.data_root}/engine.db",
        (
            *ENGINE_MIGRATIONS,
            *Snapshots.MIGRATIONS,
            *ImageStore.MIGRATIONS,
            *VOLUME_MIGRATIONS,
            *NETWORK_MIGRATIONS,
            *BUILD_MIGRATIONS,
        ),
    )
    return _Ground(
        settings=settings,
        paths=ContainerPaths(data_root=settings.data_root, exec_root=settings.exec_root),
        database=database,
        snapshots=open_snapshots(settings.storage_driver, settings.data_root, database),
        offload=OffloadPool(),
        clock=SystemClock(),
        host=host,
        engine_id=_engine_id(f"{settings.data_root}/engine-id"),
    )


def _root_of_mapping(data_root: str, host: HostFacts) -> str:
    """Each mapping has a root of its own, as Docker's: what was made under one is no use to
    another."""
    assert host.remapped is not None
    uid, gid = host.remapped.root
    return f"{data_root}/{uid}.{gid}"


def _networks(ground: _Ground, tasks: Tasks) -> Networks:
    settings = ground.settings
    return Networks(
        exec_root=settings.exec_root,
        bridge=settings.bridge,
        bip=settings.bip,
        pools=tuple((ip_network(base), size) for base, size in settings.address_pools),
        jobs=tasks,
        table=NetworkTable(ground.database),
        keeper=NetdKeeper(
            exec_root=settings.exec_root,
            command=(sys.executable, "-I", "-S", netd_program.__file__),
        ),
        offload=ground.offload,
        clock=ground.clock,
        engine_id=ground.engine_id,
    )


@dataclass(frozen=True, slots=True)
class _Transfers:
    """What reaches registries."""

    client: RegistryClient
    pulls: ImagePulls
    pushes: ImagePushes
    unpacking: OffloadPool

    def adopt(self, settings: Settings) -> None:
        """What is asked from now on follows these settings."""
        self.client.adopt(registry_settings(settings), most_attempts=settings.download_attempts)
        self.pulls.adopt(most_fetches=settings.concurrent_downloads)
        self.pushes.adopt(most_uploads=settings.concurrent_uploads)

    async def close(self) -> None:
        """Let go of registries."""
        await self.client.close()
        self.unpacking.close()


def _transfers(ground: _Ground, images: ImageStore) -> _Transfers:
    settings = ground.settings
    client = RegistryClient(
        registry_settings(settings), user_agent=f"wherry/{VERSION}", clock=ground.clock
    )
    unpacking = OffloadPool(UNPACKING_THREADS)
    made = _Transfers(
        client,
        ImagePulls(store=images, client=client, offload=ground.offload, unpacking=unpacking),
        ImagePushes(store=images, client=client, offload=ground.offload),
        unpacking,
    )
    made.adopt(settings)
    return made


def registry_settings(settings: Settings) -> RegistrySettings:
    """What the operator's words mean to the registry client."""
    mirrors: dict[str, tuple[str, ...]] = {}
    for registry, url in settings.registry_mirrors:
        mirrors[registry] = (*mirrors.get(registry, ()), url)
    return RegistrySettings(mirrors=mirrors, insecure=settings.insecure_registries)


def _default_log(settings: Settings) -> LogSpec:
    """The log of containers that say nothing; our default rotation is one of files only."""
    options = settings.log_options
    if settings.log_driver != "json-file":
        options = dict(options.items() - DEFAULT_LOG_OPTIONS.items())
    return LogSpec(driver=settings.log_driver, options=options)


def _create_defaults(settings: Settings) -> CreateDefaults:
    return CreateDefaults(
        log=_default_log(settings),
        runs_init=settings.runs_init,
        shm_bytes=settings.shm_bytes,
        ipc=settings.ipc_namespace,
        cgroup=settings.cgroup_namespace,
        ulimits=tuple(
            Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in settings.ulimits
        ),
        no_new_privileges=settings.no_new_privileges,
        seccomp=seccomp_profile_text(settings),
        runtimes=_runtimes(settings),
    )


def _runtimes(settings: Settings) -> RuntimeTable:
    return RuntimeTable(
        default=settings.default_runtime,
        configured=settings.runtimes,
    )


def _start_defaults(settings: Settings) -> StartDefaults:
    return StartDefaults(
        dns=settings.dns,
        dns_options=settings.dns_options,
        dns_search=settings.dns_search,
        host_gateway=settings.host_gateway,
        cgroup_parent=settings.cgroup_parent,
    )


def _identity(ground: _Ground, settings: Settings) -> EngineIdentity:
    return EngineIdentity(
        engine_id=ground.engine_id,
        version=VERSION,
        git_commit="",
        build_time="",
        data_root=settings.data_root,
        log_driver=settings.log_driver,
        labels=settings.labels,
        is_debug=settings.is_debug,
        is_experimental=settings.is_experimental,
        http_proxy=settings.http_proxy,
        https_proxy=settings.https_proxy,
        no_proxy=settings.no_proxy,
        registry_mirrors=settings.hub_mirrors,
        insecure_registries=settings.insecure_registries,
        init_path=settings.init_path,
        default_runtime=settings.default_runtime,
        runtimes=_runtimes(settings).commands,
        components=(),
    )


def _engine_id(path: str) -> str:
    """A name for this engine that lasts as long as its data root."""
    try:
        with open(path) as file:
            return file.read().strip()
    except FileNotFoundError:
        fresh = str(uuid.uuid4())
        with open(path, "w") as file:
            file.write(fresh + "\n")
        return fresh
