"""Which object gets which collaborator.

The ground is laid first, then the stores are opened, then what happens in a container's life is
put together (`container_parts`); the services that the API asks are made of these.
"""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable

from wherry.api.services import Services
from wherry.builder import KeptBuilds
from wherry.engine.build_cache import BuildCaches
from wherry.engine.build_history import BuildHistory
from wherry.engine.build_upkeep import BuildUpkeep
from wherry.engine.building import Builds, ImageBuilder, StepContainers
from wherry.engine.containers.commit import CommitContainer
from wherry.engine.containers.files import ContainerFiles
from wherry.engine.containers.views import ContainerViews
from wherry.engine.containers.why import Reasons
from wherry.engine.disk_usage import DiskUsage
from wherry.engine.explain import Explanations
from wherry.engine.images import ImageVerbs
from wherry.engine.networks import NetworkVerbs
from wherry.engine.platforms import Platforms
from wherry.engine.prune import Prunes
from wherry.engine.registries import RegistryVerbs
from wherry.engine.safekeeping import kept_copies
from wherry.engine.sights import Sights
from wherry.engine.system import SystemQueries
from wherry.engine.volume_history import VolumeHistory
from wherry.engine.volumes import VolumeVerbs
from wherry.images import ImageArchives, ImageMaker
from wherry.kit.values import dataclass
from wherry.networks import NetdKeeper, Networks, NetworkTable
from wherry.programs import netd as netd_program
from wherry.programs.container_parts import container_parts
from wherry.programs.defaults import (
    create_defaults,
    engine_identity,
    network_settings,
    start_defaults,
)
from wherry.programs.ground import Ground, lay_ground
from wherry.programs.plugin_parts import PluginParts
from wherry.programs.reloading import reload_attributes
from wherry.programs.settings import Settings, SettingsError
from wherry.programs.stores import open_stores
from wherry.programs.transfers import open_transfers
from wherry.specgen import container_seccomp
from wherry.tasks import Tasks


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """What the program needs of a booted engine."""

    services: Services
    reload: Callable[[Settings], None]
    """Take over settings that differ in what may change while the engine runs."""


@contextlib.asynccontextmanager
async def running_engine(settings: Settings) -> AsyncIterator[RunningEngine]:
    """The engine, booted; leaving the block lets go of containers and leaves them running."""
    ground = lay_ground(settings)
    tasks = Tasks(exec_root=settings.exec_root, offload=ground.offload, clock=ground.clock)
    networks = _networks(ground, tasks)
    try:
        await tasks.open()
        await networks.open()
        async with (
            kept_copies(ground.database, ground.offload),
            engine_on(ground, tasks, networks) as running,
        ):
            yield running
    finally:
        await networks.close()
        await tasks.close()
        ground.offload.close()
        ground.database.close()


async def taken_down(settings: Settings) -> None:
    """Take away what networks have in the kernel, for an engine that is to be removed.

    The networks themselves stay recorded: the next engine makes them again. Raises:
    SettingsError while containers live; StepFailed.
    """
    ground = lay_ground(settings)
    tasks = Tasks(exec_root=settings.exec_root, offload=ground.offload, clock=ground.clock)
    networks = _networks(ground, tasks)
    try:
        await tasks.open()
        await networks.open()
        if networks.has_living:
            raise SettingsError("containers run that would lose their networks: stop them first")
        await networks.remove_everything()
    finally:
        await networks.close()
        await tasks.close()
        ground.offload.close()
        ground.database.close()


@contextlib.asynccontextmanager
async def engine_on(
    ground: Ground, tasks: Tasks, networks: Networks
) -> AsyncIterator[RunningEngine]:
    """The engine on ground that is laid, with tasks and networks that are open."""
    stores = open_stores(ground, tasks)
    containers = container_parts(ground, stores, tasks, networks)
    views = ContainerViews(
        records=stores.records,
        locks=stores.locks,
        snapshots=ground.snapshots,
        volumes=stores.volumes,
        tasks=tasks,
        paths=ground.paths,
        host=ground.host,
        offload=ground.offload,
    )
    transfers = open_transfers(ground, stores.images)
    image_maker = ImageMaker(stores.images, ground.snapshots)
    image_verbs = ImageVerbs(
        store=stores.images,
        archives=ImageArchives(stores.images),
        maker=image_maker,
        downloads=transfers.downloads,
        snapshots=ground.snapshots,
        records=stores.records,
        events=stores.events,
        offload=ground.offload,
        clock=ground.clock,
    )
    system = SystemQueries(
        identity=engine_identity(ground, ground.settings),
        records=stores.records,
        images=stores.images,
        snapshots=ground.snapshots,
        volumes=stores.volumes,
        plugins=ground.plugins,
        damages=ground.database.damages,
        events=stores.events,
        host=ground.host,
        clock=ground.clock,
    )
    network_verbs = NetworkVerbs(
        networks=networks,
        records=stores.records,
        locks=stores.locks,
        assembly=containers.assembly,
        events=stores.events,
    )
    plugins = PluginParts(ground, stores, tasks, transfers.client)
    # Volumes of containers that run, or are going to, may be theirs.
    await plugins.open()
    await containers.boot.reconcile()

    def reload(settings: Settings) -> None:
        containers.defaults.use(create_defaults(settings))
        containers.assembly.use_defaults(start_defaults(settings))
        system.use_identity(engine_identity(ground, settings))
        transfers.adopt(settings)
        name = os.uname().nodename
        stores.events.publish(
            "daemon", "reload", ground.engine_id, {**reload_attributes(settings), "name": name}
        )

    def make_builder() -> ImageBuilder:
        # Seldom wanted at once: what has never built has no builder in memory.
        from wherry.builder.service import BuildGround, BuildService
        from wherry.builder.steps.mounts import MountGround

        build_ground = BuildGround(
            store=stores.images,
            snapshots=ground.snapshots,
            cache=stores.build_cache,
            tasks=tasks,
            offload=ground.offload,
            clock=ground.clock,
            mounts=MountGround(
                caches=stores.build_mounts,
                run_directory=f"{ground.settings.exec_root}/builds",
            ),
            staging=f"{ground.settings.data_root}/tmp",
            kept_contexts=stores.build_contexts,
        )
        return BuildService(build_ground, StepContainers(containers.creating, containers.verbs))

    caches = BuildCaches(
        steps=stores.build_cache,
        mounts=stores.build_mounts,
        contexts=stores.build_contexts,
        store=stores.images,
        data_root=ground.settings.data_root,
        offload=ground.offload,
        clock=ground.clock,
    )
    platforms = Platforms(
        data_root=ground.settings.data_root, host=stores.images.host, offload=ground.offload
    )
    await ground.offload(platforms.restore)
    registries = RegistryVerbs(
        store=stores.images,
        client=transfers.client,
        pulls=transfers.pulls,
        pushes=transfers.pushes,
        events=stores.events,
    )
    try:
        services = Services(
            containers=containers.verbs,
            execs=containers.execs,
            images=image_verbs,
            builds=Builds(
                make_builder=make_builder,
                caches=caches,
                upkeep=BuildUpkeep(
                    caches, ground.settings.builder.upkeep, ground.settings.data_root
                ),
                refused_entitlements=ground.settings.builder.refused_entitlements,
                store=stores.images,
                registries=registries,
                events=stores.events,
            ),
            build_history=BuildHistory(KeptBuilds(ground.database), ground.offload),
            registries=registries,
            networks=network_verbs,
            system=system,
            commits=CommitContainer(
                records=stores.records,
                images=stores.images,
                maker=image_maker,
                snapshots=ground.snapshots,
                pausing=containers.verbs.pausing,
                events=stores.events,
                offload=ground.offload,
            ),
            files=ContainerFiles(
                records=stores.records, views=views, events=stores.events, offload=ground.offload
            ),
            volumes=VolumeVerbs(
                volumes=stores.volumes,
                users=stores.users,
                events=stores.events,
                offload=ground.offload,
            ),
            plugins=plugins,
            volume_history=VolumeHistory(
                volumes=stores.volumes,
                users=stores.users,
                records=stores.records,
                container_locks=stores.locks,
                starting=containers.verbs.starting,
                stopping=containers.verbs.stopping,
                pausing=containers.verbs.pausing,
                events=stores.events,
                offload=ground.offload,
            ),
            events=stores.events,
            reasons=Reasons(
                records=stores.records,
                journal=stores.journal,
                logs=containers.logs,
                paths=ground.paths,
                offload=ground.offload,
            ),
            explanations=Explanations(
                stores.records,
                containers.live,
                ground.paths,
                containers.removed_logs,
                ground.offload,
                lambda container: containers.seccomp.path_of(
                    container_seccomp(container.spec.security, ground.host)
                ),
            ),
            sights=Sights(
                records=stores.records,
                live=containers.live,
                networks=networks,
                paths=ground.paths,
                offload=ground.offload,
            ),
            platforms=platforms,
            prunes=Prunes(
                records=stores.records,
                removing=containers.removing,
                images=image_verbs,
                store=stores.images,
                snapshots=ground.snapshots,
                networks=network_verbs,
                events=stores.events,
                offload=ground.offload,
                clock=ground.clock,
            ),
            disk_usage=DiskUsage(
                records=stores.records,
                images=stores.images,
                snapshots=ground.snapshots,
                offload=ground.offload,
            ),
        )
        yield RunningEngine(services, reload)
    finally:
        await containers.close()
        await plugins.close()
        await transfers.close()
        stores.journal.close()


def _networks(ground: Ground, tasks: Tasks) -> Networks:
    settings = ground.settings
    return Networks(
        exec_root=settings.exec_root,
        settings=network_settings(settings),
        jobs=tasks,
        table=NetworkTable(ground.database),
        plugins=ground.plugins,
        keeper=NetdKeeper(
            exec_root=settings.exec_root,
            command=(sys.executable, "-I", "-S", netd_program.__file__),
            relays_all=not settings.filters_ipv4,
        ),
        offload=ground.offload,
        clock=ground.clock,
        engine_id=ground.engine_id,
    )
