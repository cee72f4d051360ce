"""Images that are made here: of a tree in a tar, of what a container wrote, of the host's parts.

Each is one new layer, as a plain tar, and a document that says how it came to be; on the layers
of another image, or on nothing.
"""

from collections.abc import Iterator, Sequence

from wherry.content import StagedBlob
from wherry.images import references
from wherry.images.bootstrap import BaseImage, base_image
from wherry.images.changes import apply_changes, completed_by
from wherry.images.documents import LARGEST_DOCUMENT, execution_defaults, read_document
from wherry.images.intake import ImagePlan
from wherry.images.references import Reference
from wherry.images.siblings import platform_from
from wherry.images.store import ImageStore
from wherry.kit.aio import BlockingWriter
from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import replace
from wherry.model.errors import InvalidField
from wherry.model.errors.images import UnusableReference
from wherry.model.ids import Digest, ImageId, SnapshotKey
from wherry.model.images import CommitPlan, Image
from wherry.model.outcomes import Progress
from wherry.oci.image_json import encode_image
from wherry.oci.image_spec import ExecutionDefaults, History, ImageDocument
from wherry.snapshots import Readable, Snapshots, decompressed

_CHUNK = 1 << 20


class ImageMaker:
    """The verbs `import`, `commit` and `bootstrap`; each may be called from any thread."""

    def __init__(self, store: ImageStore, snapshots: Snapshots) -> None:
        self._store = store
        self._content = store.content
        self._snapshots = snapshots

    def import_archive(
        self,
        source: Readable,
        *,
        reference: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> Iterator[Progress]:
        """Make an image of one layer from a file tree in a tar, compressed or not.

        Raises: InvalidReference, InvalidValue; while iterating ArchiveRefused, StepFailed.
        """
        names = (_new_name(reference),) if reference else ()
        created = rfc3339_nano(self._store.clock.now_ns())
        comment = message or "Imported from -"
        target = platform_from(platform, self._store.host)
        if target.os != "linux":
            raise InvalidField("platform", platform, "must be one of linux")
        document = ImageDocument(
            architecture=target.architecture,
            variant=target.variant,
            os="linux",
            created=created,
            comment=comment,
            config=apply_changes(ExecutionDefaults(), changes),
            history=(History(created=created, comment=comment),),
        )
        return self._importing(source, document, names)

    def commit(self, key: SnapshotKey, base: Image, plan: CommitPlan) -> ImageId:
        """Make an image of another one and what was written to a snapshot on it.

        Raises: InvalidReference, InvalidValue, ImageNotFound, StateUnreadable, StepFailed.
        """
        names = (_new_name(plan.reference),) if plan.reference else ()
        config = apply_changes(execution_defaults(plan.config), plan.changes)
        if plan.inherited is not None:
            config = completed_by(config, execution_defaults(plan.inherited))
        with self._content.ingest() as writer:
            # A layer of many small files is many small writes.
            pieces = BlockingWriter(writer.write)
            self._snapshots.diff_layer(key, pieces)
            pieces.flush()
            layer = writer.finish()
        try:
            below = read_document(
                self._content.read(Digest(base.id), limit_bytes=LARGEST_DOCUMENT)
            )
        except BaseException:
            self._content.discard(layer)
            raise
        created = rfc3339_nano(self._store.clock.now_ns())
        step = History(
            created=created, created_by=plan.created_by, author=plan.author, comment=plan.comment
        )
        document = replace(
            below,
            created=created,
            author=plan.author,
            comment=plan.comment,
            config=config,
            history=(*below.history, step),
        )
        return self._make_image(layer, document, names, base=base.id)

    def bootstrap(self, reference: str) -> Iterator[Progress]:
        """Make a base image from this host's own parts: busybox, hello, debian:bookworm.

        Raises: InvalidReference, InvalidValue for another one; while iterating HostLacks,
        StepFailed.
        """
        return self._bootstrapping(base_image(reference))

    def _importing(
        self, source: Readable, document: ImageDocument, names: tuple[Reference, ...]
    ) -> Iterator[Progress]:
        plain = decompressed(source)[1]
        with self._content.ingest() as writer:
            while chunk := plain.read(_CHUNK):
                writer.write(chunk)
            layer = writer.finish()
        image_id = self._make_image(layer, document, names)
        yield Progress(status=image_id, received=image_id)

    def _bootstrapping(self, recipe: BaseImage) -> Iterator[Progress]:
        with self._store.workspaces.lent() as workspace, self._content.ingest() as writer:
            yield from recipe.write_layer(workspace, writer)
            layer = writer.finish()
        created = rfc3339_nano(recipe.created_at_ns(self._store.clock.now_ns()))
        document = ImageDocument(
            architecture=self._store.host.architecture,
            os="linux",
            created=created,
            config=recipe.config,
            history=(History(created=created, created_by=recipe.created_by),),
        )
        name = _new_name(recipe.name)
        image_id = self._make_image(layer, document, (name,))
        yield Progress(stream=f"Made image {name.familiar} {image_id}\n")

    def _make_image(
        self,
        layer: StagedBlob,
        document: ImageDocument,
        names: tuple[Reference, ...],
        *,
        base: ImageId | None = None,
    ) -> ImageId:
        """An image of one layer that is a plain tar, on those of another image or on nothing."""
        document = replace(document, diff_ids=(*document.diff_ids, layer.digest))
        config = self._content.stage(encode_image(document))
        plan = ImagePlan(base=base, config=config, layers=(layer,), names=names)
        try:
            return self._store.take_in((plan,)).images[0]
        finally:
            self._content.discard(layer)
            self._content.discard(config)


def _new_name(text: str) -> Reference:
    name = references.parse_new(text)
    if name.digest is not None:
        raise UnusableReference(text, "cannot import digest reference")
    return name
