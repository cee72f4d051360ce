"""The verbs of containers: those of their lives, and what is made, changed and asked beside."""

from functools import cached_property

from wherry.engine.containers.create import CreateContainer
from wherry.engine.containers.deciding import DecideSpec
from wherry.engine.containers.engine_defaults import EngineDefaults
from wherry.engine.containers.exec import ExecSessions
from wherry.engine.containers.io import ContainerStreams
from wherry.engine.containers.log_reading import ContainerLogs
from wherry.engine.containers.plugin_logs import PluginLogs
from wherry.engine.containers.publishing import PublishedPorts
from wherry.engine.containers.query import ContainerQueries
from wherry.engine.containers.rename import RenameContainer
from wherry.engine.containers.stats import StatsCollector
from wherry.engine.containers.stop import PauseContainer
from wherry.engine.containers.top import TopContainer
from wherry.engine.containers.update import UpdateContainer
from wherry.engine.containers.verbs import ContainerVerbs
from wherry.linux import cgroups
from wherry.networks import Networks
from wherry.programs.defaults import create_defaults
from wherry.programs.ground import Ground
from wherry.programs.life_parts import LifeParts
from wherry.programs.stores import Stores


class ContainerParts:
    """Each part is made when it is first wanted, as in `LifeParts`."""

    def __init__(
        self, ground: Ground, stores: Stores, networks: Networks, life: LifeParts
    ) -> None:
        self._ground = ground
        self._stores = stores
        self._networks = networks
        self._life = life
        self._layout = cgroups.discover()

    @cached_property
    def verbs(self) -> ContainerVerbs:
        return ContainerVerbs(
            creating=self.create,
            starting=self._life.start,
            stopping=self._life.stop,
            pausing=self.pause,
            watching=self._stats,
            updating=self._update,
            renaming=RenameContainer(
                records=self._stores.records,
                locks=self._stores.locks,
                events=self._stores.events,
            ),
            removing=self._life.remove,
            streams=self._streams,
            reading=self.logs,
            queries=self._queries,
            showing_processes=TopContainer(
                records=self._stores.records,
                events=self._stores.events,
                offload=self._ground.offload,
            ),
            waiters=self._life.waiters,
        )

    @cached_property
    def create(self) -> CreateContainer:
        return CreateContainer(
            records=self._stores.records,
            images=self._stores.images,
            networks=self._networks,
            events=self._stores.events,
            volumes=self._stores.users,
            decide=self._decide,
            disk=self._life.disk,
            offload=self._ground.offload,
            clock=self._ground.clock,
        )

    @cached_property
    def _decide(self) -> DecideSpec:
        return DecideSpec(
            records=self._stores.records,
            images=self._stores.images,
            snapshots=self._ground.snapshots,
            volumes=self._stores.users,
            plugins=self._ground.plugins,
            host=self._ground.host,
            defaults=self.defaults,
            offload=self._ground.offload,
        )

    @cached_property
    def defaults(self) -> EngineDefaults:
        return EngineDefaults(
            create_defaults(self._ground.settings),
            records=self._stores.records,
            networks=self._networks,
            host=self._ground.host,
        )

    @cached_property
    def pause(self) -> PauseContainer:
        return PauseContainer(
            records=self._stores.records,
            locks=self._stores.locks,
            live=self._life.live,
            health=self._life.health,
            events=self._stores.events,
        )

    @cached_property
    def _update(self) -> UpdateContainer:
        return UpdateContainer(
            records=self._stores.records,
            locks=self._stores.locks,
            events=self._stores.events,
            paths=self._ground.paths,
            host=self._ground.host,
            layout=self._layout,
            ports=PublishedPorts(
                networks=self._networks,
                attach_requests=self._life.attach_requests,
                paths=self._ground.paths,
                offload=self._ground.offload,
            ),
            offload=self._ground.offload,
        )

    @cached_property
    def execs(self) -> ExecSessions:
        return ExecSessions(
            records=self._stores.records,
            live=self._life.live,
            requests=self._life.exec_requests,
            events=self._stores.events,
        )

    @cached_property
    def _streams(self) -> ContainerStreams:
        return ContainerStreams(
            records=self._stores.records,
            live=self._life.live,
            attachments=self._life.attachments,
            logs=self.logs,
            events=self._stores.events,
        )

    @cached_property
    def logs(self) -> ContainerLogs:
        return ContainerLogs(
            records=self._stores.records,
            waiters=self._life.waiters,
            removed=self._life.removed_logs,
            of_plugins=PluginLogs(plugins=self._ground.plugins, offload=self._ground.offload),
            paths=self._ground.paths,
            offload=self._ground.offload,
        )

    @cached_property
    def _queries(self) -> ContainerQueries:
        return ContainerQueries(
            records=self._stores.records,
            live=self._life.live,
            execs=self.execs,
            images=self._stores.images,
            snapshots=self._ground.snapshots,
            volumes=self._stores.users,
            paths=self._ground.paths,
            offload=self._ground.offload,
        )

    @cached_property
    def _stats(self) -> StatsCollector:
        return StatsCollector(
            records=self._stores.records,
            layout=self._layout,
            offload=self._ground.offload,
            clock=self._ground.clock,
        )

    async def close(self) -> None:
        """Let go of containers; they run on."""
        await self._stats.close()
        await self._life.close()
        await self.execs.close()
