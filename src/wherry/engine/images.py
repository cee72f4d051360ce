"""Images as the API asks for them: the image store, and who uses an image."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

from wherry.engine.events import EventLog
from wherry.engine.image_matching import matching_images
from wherry.engine.records import ContainerRecords
from wherry.engine.registries import told
from wherry.images import (
    ImageArchives,
    ImageMaker,
    ImageStore,
    Tell,
    check_content,
    platform_from,
)
from wherry.kit.aio import BlockingReader, OffloadPool, in_thread
from wherry.kit.clock import Clock
from wherry.model.errors.images import ImageNotFound
from wherry.model.ids import Digest
from wherry.model.images import DescribedImage, Image
from wherry.model.outcomes import Progress, Removal
from wherry.model.queries import Filters
from wherry.oci.image_spec import Platform
from wherry.registry import Downloads, Incoming
from wherry.snapshots import Snapshots

_TOLD_EVERY_S = 0.1


class ImageVerbs:
    """The local image store, as a user sees it."""

    def __init__(
        self,
        *,
        store: ImageStore,
        archives: ImageArchives,
        maker: ImageMaker,
        snapshots: Snapshots,
        records: ContainerRecords,
        events: EventLog,
        offload: OffloadPool,
        clock: Clock,
        downloads: Downloads,
    ) -> None:
        self._store = store
        self._archives = archives
        self._maker = maker
        self._downloads = downloads
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
            platforms=self._platforms(platforms),
        )
        for removal in removals:
            if removal.untagged:
                self._events.image("untag", image.id, image.id, image)
            elif removal.deleted.startswith(image.id):
                self._events.image("delete", image.id, image.id, image)
        return removals

    def load(
        self, archive: AsyncIterator[bytes], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[Progress]:
        """Read an image archive, whole or only what is for some platforms.

        Raises: InvalidField; while iterating ArchiveRefused, DigestMismatch, OtherPlatform.
        """
        wanted = self._platforms(platforms)

        def loading(reader: BlockingReader) -> Iterator[Progress]:
            return self._archives.load(reader, platforms=wanted)

        return self._receiving(archive, loading, "load")

    def save(
        self, references: Sequence[str], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[bytes]:
        """An archive of images. Raises (before the first byte): ImageNotFound, OtherPlatform."""
        wanted = self._platforms(platforms)
        for reference in references:
            image = self._store.resolve(reference)
            self._events.image("save", image.id, reference, image)
        return in_thread(
            self._offload, lambda: iter(self._archives.save(references, platforms=wanted))
        )

    def import_archive(
        self,
        archive: AsyncIterator[bytes],
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]:
        """Make an image of one layer from a file tree in a tar archive."""

        def importing(reader: BlockingReader) -> Iterator[Progress]:
            return iter(
                self._maker.import_archive(
                    reader,
                    reference=reference,
                    message=message,
                    changes=changes,
                    platform=platform,
                )
            )

        return self._receiving(archive, importing, "import")

    def import_from(
        self,
        address: str,
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]:
        """As `import_archive`, of a tar archive that is fetched from the web.

        Raises (before the first message): InvalidValue, DownloadRefused, RegistryUnreachable.
        """

        async def work(tell: Tell) -> None:
            async with self._downloads.opened(address) as incoming:
                tell(Progress(status=f"Downloading from {address}"))
                async for progress in self.import_archive(
                    counted(incoming, tell),
                    reference=reference,
                    message=message or f"Imported from {address}",
                    changes=changes,
                    platform=platform,
                ):
                    tell(progress)

        return told(work)

    def bootstrap(self, reference: str) -> AsyncIterator[Progress]:
        """Make a base image without a registry. Raises: InvalidValue for an unknown one."""
        return in_thread(self._offload, lambda: iter(self._maker.bootstrap(reference)))

    def check(self) -> AsyncIterator[Progress]:
        """Read all that images are made of. Raises (while iterating): ContentDamaged."""
        return in_thread(self._offload, lambda: check_content(self._store))

    async def _receiving(
        self,
        archive: AsyncIterator[bytes],
        receive: Callable[[BlockingReader], Iterator[Progress]],
        action: str,
    ) -> AsyncIterator[Progress]:
        announced = {""}
        reader = BlockingReader(archive, asyncio.get_running_loop())
        async with contextlib.aclosing(
            in_thread(self._offload, lambda: receive(reader))
        ) as told_of:
            try:
                async for progress in told_of:
                    if progress.received not in announced:
                        announced.add(progress.received)
                        self._announce(action, progress.received)
                    yield progress
            finally:
                await reader.abandon()

    def _announce(self, action: str, image_id: str) -> None:
        with contextlib.suppress(ImageNotFound):  # Somebody may have removed it already.
            self._events.image(action, image_id, image_id, self._store.resolve(image_id))

    def _platforms(self, texts: Sequence[str]) -> Sequence[Platform]:
        return [platform_from(each, self._store.host) for each in texts]

    def _users_of(self, image_id: str) -> Sequence[tuple[str, bool]]:
        """Containers that need an image, and whether they run."""
        return [
            (each.id, each.counts_as_running)
            for each in self._records.all()
            if each.image_id == image_id
        ]


async def counted(incoming: Incoming, tell: Tell) -> AsyncIterator[bytes]:
    """A download's bytes, telling now and then how many have come."""
    total, count, told_at = incoming.length, 0, 0.0
    loop = asyncio.get_running_loop()
    async for chunk in incoming.chunks():
        yield chunk
        count += len(chunk)
        if loop.time() - told_at > _TOLD_EVERY_S:
            told_at = loop.time()
            tell(Progress(status="Importing", current=count, total=total))
