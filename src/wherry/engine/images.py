"""Images as the API asks for them: the image store, and who uses an image."""

import asyncio
import fnmatch
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.images import Progress as StoreProgress
from wherry.kit.aio import BlockingReader, OffloadPool, in_thread
from wherry.model.errors import InvalidValue
from wherry.model.images import Image
from wherry.model.outcomes import Removal
from wherry.model.queries import Filters
from wherry.snapshots import Snapshots

FILTER_KEYS = frozenset({"before", "dangling", "label", "reference", "since", "until"})


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
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._records = records
        self._events = events
        self._offload = offload

    async def list(self, filters: Filters, *, wants_all: bool = False) -> Sequence[Image]:
        """Images that match, newest first. Raises: InvalidValue for an unknown key."""
        passes = self._image_filter(filters)
        found = [each for each in self._store.list() if passes(each)]
        return sorted(found, key=lambda each: each.created_at_ns or 0, reverse=True)

    async def get(self, reference: str) -> Image:
        """One image. Raises: ImageNotFound, InvalidReference, AmbiguousReference."""
        return self._store.resolve(reference)

    async def graph_data(self, image: Image) -> tuple[str, Mapping[str, str]]:
        """The storage driver and where it keeps the image's layers."""
        chain = image.chain_id
        return self._snapshots.name, {} if chain is None else self._snapshots.graph_data(chain)

    async def containers_by_image(self) -> Mapping[str, int]:
        """How many containers use each image."""
        counts: dict[str, int] = {}
        for container in self._records.all():
            counts[container.image_id] = counts.get(container.image_id, 0) + 1
        return counts

    async def tag(self, reference: str, *, repository: str, tag: str) -> None:
        """Give an image another name. Raises: ImageNotFound, InvalidReference."""
        image = self._store.resolve(reference)
        name = f"{repository}:{tag}" if tag else repository
        await self._offload(self._store.tag, image.id, name)
        self._events.image("tag", image.id, name, image)

    async def remove(
        self, reference: str, *, is_forced: bool = False, prunes_parents: bool = True
    ) -> Sequence[Removal]:
        """Untag, and delete what no tag and no container needs.

        Raises: ImageNotFound, ImageInUse, ImageHasTags.
        """
        image = self._store.resolve(reference)
        removals = await self._offload(
            self._store.remove, reference, is_forced=is_forced, users=self._users_of
        )
        for removal in removals:
            if removal.untagged:
                self._events.image("untag", image.id, image.id, image)
            elif removal.deleted.startswith(image.id):
                self._events.image("delete", image.id, image.id, image)
        return removals

    def load(self, archive: AsyncIterator[bytes]) -> AsyncIterator[StoreProgress]:
        """Read an image archive. Raises (while iterating): ArchiveRefused, DigestMismatch."""
        return self._receiving(archive, self._store.load, "load")

    def save(self, references: Sequence[str]) -> AsyncIterator[bytes]:
        """An archive of images. Raises (before the first byte): ImageNotFound."""
        for reference in references:
            image = self._store.resolve(reference)
            self._events.image("save", image.id, reference, image)
        return in_thread(self._offload, lambda: iter(self._store.save(references)))

    def import_archive(
        self,
        archive: AsyncIterator[bytes],
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[StoreProgress]:
        """Make an image of one layer from a file tree in a tar archive."""

        def importing(reader: BlockingReader) -> Iterator[StoreProgress]:
            return iter(
                self._store.import_archive(
                    reader,
                    reference=reference,
                    message=message,
                    changes=changes,
                    platform=platform,
                )
            )

        return self._receiving(archive, importing, "import")

    def bootstrap(self, reference: str) -> AsyncIterator[StoreProgress]:
        """Make a base image without a registry. Raises: InvalidValue for an unknown one."""
        return in_thread(self._offload, lambda: iter(self._store.bootstrap(reference)))

    async def _receiving(
        self,
        archive: AsyncIterator[bytes],
        receive: Callable[[BlockingReader], Iterator[StoreProgress]],
        action: str,
    ) -> AsyncIterator[StoreProgress]:
        before = {each.id for each in self._store.list()}
        reader = BlockingReader(archive, asyncio.get_running_loop())
        try:
            async for progress in in_thread(self._offload, lambda: receive(reader)):
                yield progress
        finally:
            reader.abandon()
        for image in self._store.list():
            if image.id not in before:
                self._events.image(action, image.id, image.id, image)

    def _users_of(self, image_id: str) -> Sequence[tuple[str, bool]]:
        """Containers that need an image, and whether they run."""
        return [
            (each.id, each.counts_as_running)
            for each in self._records.all()
            if each.image_id == image_id
        ]

    def _image_filter(self, filters: Filters) -> Callable[[Image], bool]:
        unknown = {key for key in filters if key not in FILTER_KEYS}
        if unknown:
            raise InvalidValue(f"invalid filter '{min(unknown)}'")
        moments = {
            key: [self._created(value) for value in filters.get(key, ())]
            for key in ("before", "since")
        }

        def passes(image: Image) -> bool:
            return all(
                _image_passes(image, key, values, moments)
                for key, values in filters.items()
                if values
            )

        return passes

    def _created(self, reference: str) -> int:
        return self._store.resolve(reference).created_at_ns or 0


def _image_passes(
    image: Image, key: str, values: Sequence[str], moments: Mapping[str, Sequence[int]]
) -> bool:
    created = image.created_at_ns or 0
    match key:
        case "before":
            return any(created < moment for moment in moments["before"])
        case "since":
            return any(created > moment for moment in moments["since"])
        case "dangling":
            wanted = values[0].lower() in ("1", "t", "true")
            return wanted is not bool(image.references)
        case "label":
            return all(_has_label(image.config.labels, value) for value in values)
        case "reference":
            return any(
                _reference_matches(name, pattern)
                for name in image.references
                for pattern in values
            )
        case _:
            return True


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    name, separator, value = wanted.partition("=")
    return name in labels and (not separator or labels[name] == value)


def _reference_matches(name: str, pattern: str) -> bool:
    """Shell patterns over the familiar name, with or without its tag (Go's path.Match)."""
    repository = name.rpartition(":")[0]
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(repository, pattern)
