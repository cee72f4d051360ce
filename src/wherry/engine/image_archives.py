"""Images that come in as archives, go out as archives, or are made on the spot."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from wherry.engine.events import EventLog
from wherry.engine.registries import told
from wherry.images import ImageArchives, ImageMaker, ImageStore, Tell, platform_from
from wherry.kit.aio import BlockingReader, OffloadPool, in_thread
from wherry.model.errors.images import ImageNotFound
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import Platform
from wherry.registry import Downloads, Incoming

_TOLD_EVERY_S = 0.1


class ImageArchiveVerbs:
    """`load`, `save`, `import` and `image bootstrap`."""

    def __init__(
        self,
        *,
        store: ImageStore,
        archives: ImageArchives,
        maker: ImageMaker,
        downloads: Downloads,
        events: EventLog,
        offload: OffloadPool,
    ) -> None:
        self._store = store
        self._archives = archives
        self._maker = maker
        self._downloads = downloads
        self._events = events
        self._offload = offload

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
