"""Archives of images: taking in all of one, and giving out several images as one."""

from collections.abc import Iterator, Sequence

from wherry.images.ahead import UnpackingAhead
from wherry.images.archive_reader import ImageArchive
from wherry.images.archive_writer import SavedImage, SavedImages, archive
from wherry.images.finding import Meaning
from wherry.images.intake import only_for
from wherry.images.siblings import meant
from wherry.images.store import ImageStore
from wherry.model.ids import Digest, ImageId
from wherry.model.images import Image
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import Platform
from wherry.snapshots import Readable


class ImageArchives:
    """The verbs `load` and `save`; both may be called from any thread."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def load(self, source: Readable, *, platforms: Sequence[Platform] = ()) -> Iterator[Progress]:
        """Take in every image of an archive, or none; with `platforms`, every one for those.

        Raises (while iterating): ArchiveRefused, DigestMismatch, StepFailed, OtherPlatform.
        """
        with (
            UnpackingAhead(self._store.layers.directories) as ahead,
            ImageArchive(self._store.content, ahead) as received,
        ):
            yield from received.receive(source)
            plans = only_for(platforms, received.plans())
            taken = self._store.take_in(plans, ahead=ahead)
        for name, old in taken.renamed:
            yield Progress(
                stream=f"The image {name.familiar} already exists, renaming the old "
                f"one with ID {old.id} to empty string\n"
            )
        for image_id, plan in zip(taken.images, plans, strict=True):
            for name in plan.names:
                yield Progress(stream=f"Loaded image: {name.familiar}\n", received=image_id)
            if not plan.names:
                yield Progress(stream=f"Loaded image ID: {image_id}\n", received=image_id)

    def save(
        self, wanted: Sequence[str], *, platforms: Sequence[Platform] = ()
    ) -> Iterator[bytes]:
        """An archive of images; a name without a tag stands for all of its tags.

        With `platforms`, only the images for them; otherwise all that the names lead to.

        Raises: before the first byte ImageNotFound, InvalidReference, AmbiguousReference,
        OtherPlatform; while iterating StateUnreadable.
        """
        saved: dict[tuple[tuple[ImageId, ...], Digest | None], SavedImages] = {}
        for reference in wanted:
            for meaning in self._store.meanings(reference):
                each = self._chosen(reference, meaning, platforms)
                ids = tuple(sibling.image.id for sibling in each.siblings)
                key = ids, None if each.index is None else each.index.digest
                saved[key] = saved[key].named_also(each.names) if key in saved else each
        return archive(self._store.content, list(saved.values()))

    def _chosen(
        self, reference: str, meaning: Meaning, platforms: Sequence[Platform]
    ) -> SavedImages:
        """What is saved of what a name leads to: an index as a whole, or nothing of it."""
        name, found = meaning.name, meaning.images
        shown = reference if name is None else name.familiar
        chosen = [meant(shown, found, self._store.host, each) for each in platforms] or found
        return SavedImages(
            siblings=tuple(map(self._saved, chosen)),
            names=() if name is None else (name,),
            index=None if name is None or platforms else self._store.documents.index_of(name),
        )

    def _saved(self, image: Image) -> SavedImage:
        blobs = self._store.blobs_of(image)
        content, known = self._store.documents.manifest_for(image, blobs)
        return SavedImage(image=image, blobs=blobs, content=content, manifest=known)
