"""What lasts beyond a container's life: records, events, images, volumes, and who shares them."""

from wherry.builder import BuildCache, CacheMounts, KeptContexts
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.event_journal import EventJournal
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.aio import KeyedLock
from wherry.kit.values import dataclass
from wherry.programs.ground import Ground
from wherry.tasks import Tasks
from wherry.volumes import Volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything that is on disk, and the locks and events that all verbs share."""

    records: ContainerRecords
    journal: EventJournal
    events: EventLog
    locks: KeyedLock
    images: ImageStore
    build_cache: BuildCache
    build_mounts: CacheMounts
    build_contexts: KeptContexts
    """What RUN steps keep between builds."""
    volumes: Volumes
    users: ContainerVolumes
    """Which containers have which volumes."""


def open_stores(ground: Ground, tasks: Tasks) -> Stores:
    """Open them all; what a build may use again is kept as what an image needs is."""
    records = ContainerRecords(ground.database, ground.offload)
    journal = EventJournal(f"{ground.settings.data_root}/events.log")
    events = EventLog(ground.clock, journal, ground.offload)
    images = ImageStore(ground.settings.data_root, ground.database, ground.snapshots)
    build_cache = BuildCache(ground.database)
    images.keep_also(build_cache.roots)
    build_mounts = CacheMounts(
        f"{ground.settings.data_root}/build-mounts", ground.database, ground.offload, ground.clock
    )
    build_mounts.sweep()
    build_contexts = KeptContexts(f"{ground.settings.data_root}/build-contexts", ground.offload)
    volumes = Volumes(ground.settings.data_root, ground.database, ground.clock, ground.plugins)
    return Stores(
        records=records,
        journal=journal,
        events=events,
        locks=KeyedLock(),
        images=images,
        build_cache=build_cache,
        build_mounts=build_mounts,
        build_contexts=build_contexts,
        volumes=volumes,
        users=ContainerVolumes(
            records=records,
            volumes=volumes,
            tasks=tasks,
            events=events,
            offload=ground.offload,
        ),
    )
