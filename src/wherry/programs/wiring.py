"""Which object gets which collaborator.

The ground is laid first, then the stores are opened. What happens in containers' lives stands on
these (`life_parts`), their verbs on that (`container_parts`), and the services that the API asks
on all of it (`service_parts`).
"""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable

from wherry.api.services import Services
from wherry.engine.safekeeping import kept_copies
from wherry.kit.values import dataclass
from wherry.networks import NetdKeeper, Networks, NetworkTable
from wherry.programs import netd as netd_program
from wherry.programs.container_parts import ContainerParts
from wherry.programs.defaults import (
    create_defaults,
    engine_identity,
    network_defaults,
    network_settings,
    runtime_defaults,
)
from wherry.programs.ground import Ground, lay_ground
from wherry.programs.life_parts import LifeParts
from wherry.programs.plugin_parts import PluginParts
from wherry.programs.reloading import reload_attributes
from wherry.programs.service_parts import ServiceParts
from wherry.programs.settings import Settings, SettingsError
from wherry.programs.stores import open_stores
from wherry.programs.transfers import open_transfers
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
    life = LifeParts(ground, stores, tasks, networks)
    containers = ContainerParts(ground, stores, networks, life)
    transfers = open_transfers(ground, stores.images)
    plugins = PluginParts(ground, stores, tasks, transfers.client)
    services = ServiceParts(ground, stores, tasks, networks, life, containers, transfers, plugins)

    def reload(settings: Settings) -> None:
        containers.defaults.use(create_defaults(settings))
        life.attach_requests.use(network_defaults(settings))
        life.spawn_requests.use(runtime_defaults(settings))
        services.system.use_identity(engine_identity(ground, settings))
        transfers.adopt(settings)
        attributes = {**reload_attributes(settings), "name": os.uname().nodename}
        stores.events.publish("daemon", "reload", ground.engine_id, attributes)

    # Volumes of containers that run, or are going to, may be plugins'.
    await plugins.open()
    await life.boot.reconcile()
    await ground.offload(services.platforms.restore)
    try:
        yield RunningEngine(services.all(), reload)
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
