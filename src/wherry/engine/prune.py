"""Removing what nobody uses: stopped containers, images without users, networks.

One prune of a kind at a time. What came into use in the meantime, or can't be removed, is left
alone; the answer says what went and how many bytes of files went with it.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence

from wherry.engine.containers.remove import RemoveContainer
from wherry.engine.events import EventLog
from wherry.engine.filters import FilterReader
from wherry.engine.image_matching import parent_ids
from wherry.engine.images import ImageVerbs
from wherry.engine.networks import NetworkVerbs
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.model.containers import Container
from wherry.model.errors import PruneRunning, WherryError
from wherry.model.errors.containers import ContainerNotFound, ContainerRunning, RemovalInProgress
from wherry.model.errors.images import ImageInUse, ImageNotFound
from wherry.model.ids import SnapshotKey
from wherry.model.images import Image
from wherry.model.outcomes import PrunedContainers, PrunedImages, PrunedNetworks, Removal
from wherry.model.queries import Filters
from wherry.snapshots import Snapshots

FILTER_KEYS = frozenset({"label", "label!", "until"})
IMAGE_FILTER_KEYS = FILTER_KEYS | {"dangling"}

_log = logging.getLogger(__name__)


class PruneGate:
    """Lets one prune of each kind through at a time."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    @contextlib.contextmanager
    def passed(self, kind: str) -> Iterator[None]:
        """Raises: PruneRunning."""
        if kind in self._running:
            raise PruneRunning(kind)
        self._running.add(kind)
        try:
            yield
        finally:
            self._running.discard(kind)


class Prunes:
    """The verb `prune`, for each kind of thing."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        removing: RemoveContainer,
        images: ImageVerbs,
        store: ImageStore,
        snapshots: Snapshots,
        networks: NetworkVerbs,
        events: EventLog,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._records = records
        self._removing = removing
        self._images = images
        self._store = store
        self._snapshots = snapshots
        self._networks = networks
        self._events = events
        self._offload = offload
        self._clock = clock
        self._gate = PruneGate()

    # -- containers --------------------------------------------------------------------------

    async def containers(self, filters: Filters) -> PrunedContainers:
        """Remove the containers that don't run. Raises: InvalidValue, PruneRunning."""
        given = FilterReader(filters, FILTER_KEYS)
        until = given.until(self._clock.now_ns())
        with self._gate.passed("containers"):
            deleted, freed = [], 0
            for container in list(self._records.all()):
                if _is_spared(container.created_at_ns, until) or container.counts_as_running:
                    continue
                if given.labels_match(container.spec.labels):
                    size = await self._offload(self._snapshots.usage, SnapshotKey(container.id))
                    if await self._was_removed(container):
                        deleted.append(container.id)
                        freed += size
            self._tell("container", freed)
            return PrunedContainers(deleted=tuple(deleted), freed_bytes=freed)

    async def _was_removed(self, container: Container) -> bool:
        try:
            await self._removing(container.id)
        except (ContainerNotFound, ContainerRunning, RemovalInProgress):
            return False
        except WherryError:
            _log.exception("prune.failed container=%s", container.id)
            return False
        return True

    # -- images ------------------------------------------------------------------------------

    async def images(self, filters: Filters) -> PrunedImages:
        """Remove the images without a name; with `dangling=false`, all that no container needs.

        Raises: InvalidValue, PruneRunning.
        """
        given = FilterReader(filters, IMAGE_FILTER_KEYS)
        takes_named = given.claim("dangling") is False
        until = given.until(self._clock.now_ns())
        with self._gate.passed("images"):
            images = self._store.list()
            parents = parent_ids(images)
            sizes = _layer_sizes(images)
            removals: list[Removal] = []
            for image in images:
                is_candidate = takes_named if image.references else image.id not in parents
                if not is_candidate or _is_spared(image.created_at_ns, until):
                    continue
                if given.labels_match(image.config.labels):
                    removals += await self._removed(image)
            freed = sum(sizes.get(each.deleted, 0) for each in removals)
            self._tell("image", freed)
            return PrunedImages(removals=tuple(removals), freed_bytes=freed)

    async def _removed(self, image: Image) -> Sequence[Removal]:
        """Each name, or the image that has none; a container's image stays as it is."""
        if any(each.image_id == image.id for each in self._records.all()):
            return ()
        removals: list[Removal] = []
        for reference in image.references or (image.id,):
            try:
                removals += await self._images.remove(reference)
            except (ImageInUse, ImageNotFound):
                continue
            except WherryError:
                _log.exception("prune.failed image=%s", image.id)
        return removals

    # -- networks ----------------------------------------------------------------------------

    async def networks(self, filters: Filters) -> PrunedNetworks:
        """Remove users' networks that no running container is on.

        Raises: InvalidValue, PruneRunning.
        """
        given = FilterReader(filters, FILTER_KEYS)
        until_ns = given.until(self._clock.now_ns())
        with self._gate.passed("networks"):
            deleted = await self._networks.prune(given, until_ns)
            self._tell("network", 0)
            return PrunedNetworks(deleted=tuple(deleted))

    def _tell(self, kind: str, freed_bytes: int) -> None:
        self._events.publish(kind, "prune", "", {"reclaimed": str(freed_bytes)})


def _layer_sizes(images: Sequence[Image]) -> Mapping[str, int]:
    return {str(layer.chain_id): layer.size_bytes for each in images for layer in each.layers}


def _is_spared(created_at_ns: int | None, until_ns: int | None) -> bool:
    """Whether it is too young; what has no date is never older than one."""
    return until_ns is not None and (created_at_ns is None or created_at_ns > until_ns)
