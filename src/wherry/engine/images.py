"""Images as the API asks for them: the image store, and who uses an image."""

from collections.abc import AsyncIterator, Mapping, Sequence

from wherry.engine.events import EventLog
from wherry.engine.image_matching import matching_images
from wherry.engine.records import ContainerRecords
from wherry.images import (
    ImageStore,
    check_content,
    platform_from,
)
from wherry.kit.aio import OffloadPool, in_thread
from wherry.kit.clock import Clock
from wherry.model.ids import Digest
from wherry.model.images import DescribedImage, Image
from wherry.model.outcomes import Progress, Removal
from wherry.model.queries import Filters
from wherry.snapshots import Snapshots


class ImageVerbs:
    """The local image store, as a user sees it."""

    def __init__(
        self,
        *,
        store: ImageStore,
        snapshots: Snapshots,
        records: ContainerRecords,
        events: EventLog,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._records = records
        self._events = events
        self._offload = offload
        self._clock = clock

    async def list(self, filters: Filters, *, wants_all: bool = False) -> Sequence[Image]:
        """Images that match, newest first. Raises: InvalidValue, ImageNotFound."""
        now_ns = self._clock.now_ns()
        return matching_images(self._store, filters, now_ns=now_ns, wants_all=wants_all)

    async def get(self, reference: str, *, platform: str = "") -> Image:
        """One image; of a name that leads to several, the host's or that for a platform.

        Raises: ImageNotFound, InvalidReference, AmbiguousReference, OtherPlatform, InvalidField.
        """
        wanted = platform_from(platform, self._store.host) if platform else None
        return self._store.resolve(reference, platform=wanted)

    async def siblings(self, references: Sequence[str]) -> Sequence[DescribedImage]:
        """Every image that one of these leads to. Raises: as `get`."""
        images = {each.id: each for name in references for each in self._store.all_of(name)}
        return await self._offload(lambda: [*map(self._described, images.values())])

    def _described(self, image: Image) -> DescribedImage:
        blobs = self._store.blobs_of(image)
        content, manifest = self._store.documents.manifest_for(image, blobs)
        config_bytes = self._store.content.size(Digest(image.id))
        return DescribedImage(
            image=image,
            manifest_digest=manifest.digest,
            media_type=manifest.media_type,
            manifest_bytes=len(content),
            content_bytes=len(content) + config_bytes + sum(each.blob_bytes for each in blobs),
            containers=tuple(e.id for e in self._records.all() if e.image_id == image.id),
        )

    async def graph_data(self, image: Image) -> tuple[str, Mapping[str, str]]:
        """The storage driver and where it keeps the image's layers."""
        chain = image.chain_id
        return self._snapshots.name, {} if chain is None else self._snapshots.graph_data(chain)

    async def tag(self, reference: str, *, repository: str, tag: str) -> None:
        """Give an image another name. Raises: ImageNotFound, InvalidReference."""
        image = self._store.resolve(reference)
        name = f"{repository}:{tag}" if tag else repository
        await self._offload(self._store.tag, reference, name)
        self._events.image("tag", image.id, name, image)

    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        platforms: Sequence[str] = (),
    ) -> Sequence[Removal]:
        """Untag, and delete what no tag and no container needs.

        Raises: ImageNotFound, ImageInUse, ImageHasTags, OtherPlatform, InvalidField.
        """
        image = self._store.resolve(reference)
        removals = await self._offload(
            self._store.remove,
            reference,
            is_forced=is_forced,
            users=self._users_of,
            platforms=[platform_from(each, self._store.host) for each in platforms],
        )
        for removal in removals:
            if removal.untagged:
                self._events.image("untag", image.id, image.id, image)
            elif removal.deleted.startswith(image.id):
                self._events.image("delete", image.id, image.id, image)
        return removals

    def check(self) -> AsyncIterator[Progress]:
        """Read all that images are made of. Raises (while iterating): ContentDamaged."""
        return in_thread(self._offload, lambda: check_content(self._store))

    def _users_of(self, image_id: str) -> Sequence[tuple[str, bool]]:
        """Containers that need an image, and whether they run."""
        return [
            (each.id, each.counts_as_running)
            for each in self._records.all()
            if each.image_id == image_id
        ]
