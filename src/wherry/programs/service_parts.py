"""The services that the API asks, but for those of containers (`container_parts`)."""

from functools import cached_property

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
from wherry.engine.image_archives import ImageArchiveVerbs
from wherry.engine.images import ImageVerbs
from wherry.engine.networks import NetworkVerbs
from wherry.engine.platforms import Platforms
from wherry.engine.prune import Prunes
from wherry.engine.registries import RegistryVerbs
from wherry.engine.sights import Sights
from wherry.engine.system import SystemQueries
from wherry.engine.volume_history import VolumeHistory
from wherry.engine.volume_writers import VolumeWriters
from wherry.engine.volumes import VolumeVerbs
from wherry.images import ImageArchives, ImageMaker
from wherry.networks import Networks
from wherry.programs.container_parts import ContainerParts
from wherry.programs.defaults import engine_identity
from wherry.programs.ground import Ground
from wherry.programs.life_parts import LifeParts
from wherry.programs.plugin_parts import PluginParts
from wherry.programs.stores import Stores
from wherry.programs.transfers import Transfers
from wherry.specgen import container_seccomp
from wherry.tasks import Tasks


class ServiceParts:
    """Each part is made when it is first wanted, as in `LifeParts`."""

    def __init__(
        self,
        ground: Ground,
        stores: Stores,
        tasks: Tasks,
        networks: Networks,
        life: LifeParts,
        containers: ContainerParts,
        transfers: Transfers,
        plugins: PluginParts,
    ) -> None:
        self._ground = ground
        self._stores = stores
        self._tasks = tasks
        self._networks = networks
        self._life = life
        self._containers = containers
        self._transfers = transfers
        self._plugins = plugins

    def all(self) -> Services:
        """Every one of them."""
        return Services(
            containers=self._containers.verbs,
            execs=self._containers.execs,
            files=self._files,
            commits=self._commits,
            images=self._images,
            image_archives=self._image_archives,
            builds=self._builds,
            build_history=BuildHistory(KeptBuilds(self._ground.database), self._ground.offload),
            registries=self._registries,
            networks=self._network_verbs,
            volumes=self._volumes,
            volume_history=self._volume_history,
            plugins=self._plugins,
            system=self.system,
            events=self._stores.events,
            explanations=self._explanations,
            reasons=self._reasons,
            sights=self._sights,
            platforms=self.platforms,
            prunes=self._prunes,
            disk_usage=self._disk_usage,
        )

    # -- containers, looked into ---------------------------------------------------------------

    @cached_property
    def _files(self) -> ContainerFiles:
        views = ContainerViews(
            records=self._stores.records,
            locks=self._stores.locks,
            snapshots=self._ground.snapshots,
            volumes=self._stores.volumes,
            tasks=self._tasks,
            paths=self._ground.paths,
            host=self._ground.host,
            offload=self._ground.offload,
        )
        return ContainerFiles(
            records=self._stores.records,
            views=views,
            events=self._stores.events,
            offload=self._ground.offload,
        )

    @cached_property
    def _commits(self) -> CommitContainer:
        return CommitContainer(
            records=self._stores.records,
            images=self._stores.images,
            maker=self._image_maker,
            snapshots=self._ground.snapshots,
            pausing=self._containers.pause,
            events=self._stores.events,
            offload=self._ground.offload,
        )

    @cached_property
    def _reasons(self) -> Reasons:
        return Reasons(
            records=self._stores.records,
            journal=self._stores.journal,
            logs=self._containers.logs,
            paths=self._ground.paths,
            offload=self._ground.offload,
        )

    @cached_property
    def _explanations(self) -> Explanations:
        return Explanations(
            self._stores.records,
            self._life.live,
            self._ground.paths,
            self._life.removed_logs,
            self._ground.offload,
            lambda container: self._life.seccomp.path_of(
                container_seccomp(container.spec.security, self._ground.host)
            ),
        )

    # -- images and builds ---------------------------------------------------------------------

    @cached_property
    def _image_maker(self) -> ImageMaker:
        return ImageMaker(self._stores.images, self._ground.snapshots)

    @cached_property
    def _images(self) -> ImageVerbs:
        return ImageVerbs(
            store=self._stores.images,
            snapshots=self._ground.snapshots,
            records=self._stores.records,
            events=self._stores.events,
            offload=self._ground.offload,
            clock=self._ground.clock,
        )

    @cached_property
    def _image_archives(self) -> ImageArchiveVerbs:
        return ImageArchiveVerbs(
            store=self._stores.images,
            archives=ImageArchives(self._stores.images),
            maker=self._image_maker,
            downloads=self._transfers.downloads,
            events=self._stores.events,
            offload=self._ground.offload,
        )

    @cached_property
    def _registries(self) -> RegistryVerbs:
        return RegistryVerbs(
            store=self._stores.images,
            client=self._transfers.client,
            pulls=self._transfers.pulls,
            pushes=self._transfers.pushes,
            events=self._stores.events,
        )

    @cached_property
    def _builds(self) -> Builds:
        settings = self._ground.settings
        return Builds(
            make_builder=self._make_builder,
            caches=self._build_caches,
            upkeep=BuildUpkeep(self._build_caches, settings.builder.upkeep, settings.data_root),
            refused_entitlements=settings.builder.refused_entitlements,
            store=self._stores.images,
            registries=self._registries,
            events=self._stores.events,
        )

    def _make_builder(self) -> ImageBuilder:
        # Seldom wanted at once: what has never built has no builder in memory.
        from wherry.builder.service import BuildGround, BuildService
        from wherry.builder.steps.mounts import MountGround

        build_ground = BuildGround(
            store=self._stores.images,
            snapshots=self._ground.snapshots,
            cache=self._stores.build_cache,
            tasks=self._tasks,
            offload=self._ground.offload,
            clock=self._ground.clock,
            mounts=MountGround(
                caches=self._stores.build_mounts,
                run_directory=f"{self._ground.settings.exec_root}/builds",
            ),
            staging=f"{self._ground.settings.data_root}/tmp",
            kept_contexts=self._stores.build_contexts,
        )
        containers = StepContainers(self._containers.create, self._containers.verbs)
        return BuildService(build_ground, containers)

    @cached_property
    def _build_caches(self) -> BuildCaches:
        return BuildCaches(
            steps=self._stores.build_cache,
            mounts=self._stores.build_mounts,
            contexts=self._stores.build_contexts,
            store=self._stores.images,
            data_root=self._ground.settings.data_root,
            offload=self._ground.offload,
            clock=self._ground.clock,
        )

    @cached_property
    def platforms(self) -> Platforms:
        return Platforms(
            data_root=self._ground.settings.data_root,
            host=self._stores.images.host,
            offload=self._ground.offload,
        )

    # -- networks and volumes ------------------------------------------------------------------

    @cached_property
    def _network_verbs(self) -> NetworkVerbs:
        return NetworkVerbs(
            networks=self._networks,
            records=self._stores.records,
            locks=self._stores.locks,
            attach_requests=self._life.attach_requests,
            events=self._stores.events,
        )

    @cached_property
    def _sights(self) -> Sights:
        return Sights(
            records=self._stores.records,
            live=self._life.live,
            networks=self._networks,
            paths=self._ground.paths,
            offload=self._ground.offload,
        )

    @cached_property
    def _volumes(self) -> VolumeVerbs:
        return VolumeVerbs(
            volumes=self._stores.volumes,
            users=self._stores.users,
            events=self._stores.events,
            offload=self._ground.offload,
        )

    @cached_property
    def _volume_history(self) -> VolumeHistory:
        return VolumeHistory(
            volumes=self._stores.volumes,
            users=self._stores.users,
            container_locks=self._stores.locks,
            writers=VolumeWriters(
                records=self._stores.records,
                starting=self._life.start,
                stopping=self._life.stop,
                pausing=self._containers.pause,
            ),
            events=self._stores.events,
            offload=self._ground.offload,
        )

    # -- the engine itself ---------------------------------------------------------------------

    @cached_property
    def system(self) -> SystemQueries:
        return SystemQueries(
            identity=engine_identity(self._ground, self._ground.settings),
            records=self._stores.records,
            images=self._stores.images,
            snapshots=self._ground.snapshots,
            volumes=self._stores.volumes,
            plugins=self._ground.plugins,
            damages=self._ground.database.damages,
            events=self._stores.events,
            host=self._ground.host,
            clock=self._ground.clock,
        )

    @cached_property
    def _prunes(self) -> Prunes:
        return Prunes(
            records=self._stores.records,
            removing=self._life.remove,
            images=self._images,
            store=self._stores.images,
            snapshots=self._ground.snapshots,
            networks=self._network_verbs,
            events=self._stores.events,
            offload=self._ground.offload,
            clock=self._ground.clock,
        )

    @cached_property
    def _disk_usage(self) -> DiskUsage:
        return DiskUsage(
            records=self._stores.records,
            images=self._stores.images,
            snapshots=self._ground.snapshots,
            offload=self._ground.offload,
        )
