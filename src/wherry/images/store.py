"""The local image store: names, ids, and the verbs on them."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from wherry.content import ContentStore, StagedBlob
from wherry.images import references
from wherry.images.ahead import UnpackingAhead
from wherry.images.archive import ImageArchive
from wherry.images.attestations import attached
from wherry.images.bootstrap import BaseImage, base_image
from wherry.images.changes import apply_changes, completed_by
from wherry.images.documents import LARGEST_DOCUMENT, execution_defaults, read_document
from wherry.images.finding import ImageFinder
from wherry.images.image_table import (
    MIGRATIONS,
    DamagedImage,
    ImageTable,
    LayerBlob,
    ManifestBlob,
    NewImage,
)
from wherry.images.intake import ImagePlan, Intake, only_for
from wherry.images.leases import Lease, Leases
from wherry.images.references import Reference
from wherry.images.removing import Removals, Users
from wherry.images.save import SavedImage, SavedImages, archive
from wherry.images.siblings import host_platform, meant, platform_from
from wherry.kit.aio import BlockingWriter
from wherry.kit.clock import Clock, SystemClock
from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import replace
from wherry.linux.files import remove_tree
from wherry.model.errors import (
    InvalidField,
    InvalidReference,
    StateUnreadable,
)
from wherry.model.ids import ChainId, Digest, ImageId, SnapshotKey
from wherry.model.images import CommitPlan, Image
from wherry.model.outcomes import Progress, Removal
from wherry.oci.image_json import decode_manifest, encode_image, encode_manifest
from wherry.oci.image_spec import (
    CONFIG,
    MANIFEST,
    Descriptor,
    ExecutionDefaults,
    History,
    ImageDocument,
    Manifest,
    Platform,
)
from wherry.registry import FetchedManifest, digest_of, read_manifest
from wherry.snapshots import LayerStore, Readable, Snapshots, StagedLayer, decompressed
from wherry.store import Database

Roots = Callable[[], tuple[set[Digest], set[ChainId]]]
"""The blobs and stacks that somebody needs."""

_CHUNK = 1 << 20


class ImageStore:
    """The images of one data root; every method may be called from any thread.

    Lock order: this store's lock, then the snapshots', then the database's. Reading takes none.
    """

    MIGRATIONS = MIGRATIONS

    def __init__(
        self,
        data_root: str,
        database: Database,
        snapshots: Snapshots,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Take over `content` and `tmp` of the data root, and the rows of images."""
        self._clock = clock or SystemClock()
        self.host = host_platform()
        self._staging = os.path.join(data_root, "tmp")
        os.makedirs(self._staging, mode=0o710, exist_ok=True)
        self._content = ContentStore(os.path.join(data_root, "content"))
        self._snapshots = snapshots
        self._table = ImageTable(database, self._content, snapshots)
        self._intake = Intake(
            content=self._content, snapshots=snapshots, table=self._table, clock=self._clock
        )
        self._finder = ImageFinder(self._table, self.host)
        self._leases = Leases()
        self._other_roots: list[Roots] = []
        self._changing = threading.RLock()

    # -- finding -----------------------------------------------------------------------------

    def resolve(self, reference: str, *, platform: Platform | None = None) -> Image:
        """The image of a name, a name with tag, an id, or the beginning of one.

        Raises: InvalidReference, ImageNotFound, AmbiguousReference, OtherPlatform.
        """
        return self._finder.resolve(reference, platform)

    def all_of(self, reference: str) -> Sequence[Image]:
        """Every image that a name leads to, or the one of an id. Raises: as `resolve`."""
        return self._finder.all_of(reference)

    def leading_names(self, image: Image) -> Sequence[str]:
        """Those of its names that mean this image where no platform is asked for."""
        return self._finder.leading_names(image)

    def list(self) -> Sequence[Image]:
        """Every image."""
        return self._table.all()

    @property
    def damaged(self) -> Sequence[DamagedImage]:
        """Images that have a row and can't be read: another load of them heals it."""
        return self._table.damaged

    # -- for what comes from registries and goes there ------------------------------------------

    @property
    def content(self) -> ContentStore:
        """The blobs."""
        return self._content

    @property
    def layers(self) -> LayerStore:
        """The unpacked layers."""
        return self._snapshots.layers

    def lease(self) -> AbstractContextManager[Lease]:
        """Keep what is named in it from the collector, for the length of a block."""
        return self._leases.lease()

    def blobs_of(self, image: Image) -> tuple[LayerBlob, ...]:
        """The layers' bytes from the bottom up."""
        return self._table.blobs_of(image.id)

    def manifest_for(
        self, image: Image, layers: tuple[LayerBlob, ...]
    ) -> tuple[bytes, ManifestBlob]:
        """The manifest that an image came with, or one for its layers as they are now."""
        known = self._table.manifest_of(image.id)
        if known is not None and self._content.has(known.digest):
            content = self._content.read(known.digest, limit_bytes=LARGEST_DOCUMENT)
            described = decode_manifest(content).layers
            if [each.digest for each in described] == [each.blob for each in layers]:
                return content, known
        made = encode_manifest(
            Manifest(
                config=Descriptor(
                    media_type=CONFIG, digest=image.id, size=self._content.size(Digest(image.id))
                ),
                layers=tuple(
                    Descriptor(media_type=each.media_type, digest=each.blob, size=each.blob_bytes)
                    for each in layers
                ),
            )
        )
        return made, ManifestBlob(digest=digest_of(made), media_type=MANIFEST)

    def index_of(self, name: Reference) -> FetchedManifest | None:
        """The index that a tag came with, as long as it is here."""
        return self._kept(self._table.index_of(name))

    def known_names(self, image: Image) -> Sequence[Reference]:
        """What registries call an image."""
        return self._table.digests_of(image.id)

    def tags_of(self, repository: str) -> Sequence[Reference]:
        """Every tag of a full name."""
        return self._table.tags_of(repository)

    def record(self, image: NewImage, staged: Sequence[StagedLayer]) -> None:
        """Make an image of layers that are staged and blobs that are here, durably.

        Raises: StepFailed; then the layers are discarded.
        """
        with self._changing:
            try:
                self.layers.commit(staged)
                self._content.commit(self._content.stage(image.config))
                self._table.add((image,), now_ns=self._clock.now_ns())
            except BaseException:
                self.layers.discard(staged)
                raise

    def record_several(self, images: Sequence[NewImage]) -> None:
        """Make images whose layers and blobs are here, side by side under the same names.

        Raises: StepFailed.
        """
        with self._changing:
            for image in images:
                self._content.commit(self._content.stage(image.config))
            self._table.add(images, now_ns=self._clock.now_ns())

    def record_push(
        self,
        image_id: ImageId,
        name: Reference,
        manifest: ManifestBlob,
        layers: tuple[LayerBlob, ...],
    ) -> None:
        """Note what a registry calls an image now."""
        with self._changing:
            if self._table.get(image_id) is not None:
                self._table.pushed(image_id, name, manifest, layers)

    # -- names -------------------------------------------------------------------------------

    def tag(self, reference: str, name: str) -> None:
        """Give an image another name, or all that one name leads to.

        What the new name led to before has it no more.

        Raises: InvalidReference, ImageNotFound, AmbiguousReference.
        """
        new = references.parse(name)
        if new.digest is not None:
            raise InvalidReference(name, "refusing to create a tag with a digest reference")
        with self._changing:
            found = self._finder.all_of(reference)
            self._table.tag(
                new.with_default_tag(),
                [each.id for each in found],
                now_ns=self._clock.now_ns(),
                index=self._index_in(reference, found),
            )

    def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        users: Users = lambda _image: (),
        platforms: Sequence[Platform] = (),
    ) -> Sequence[Removal]:
        """Untag; delete the image with its last name; delete layers that nothing needs.

        By name, one name goes, and what it led to only with the last one; with `platforms`, only
        the images for them. By id, all names go, if they are of one repository or it is forced.
        A running container is never ignored.

        Raises: ImageNotFound, InvalidReference, ImageInUse, ImageHasTags, OtherPlatform.
        """
        with self._changing:
            removals = Removals(self._table, self._finder, users, now_ns=self._clock.now_ns())
            going = removals.untag(reference, platforms, is_forced=is_forced)
            deleted = [each for image in going for each in self._delete(image)]
            return [*removals.told, *deleted]

    def keep_also(self, roots: "Roots") -> None:
        """Blobs and stacks that somebody else needs, asked for whenever the collector runs."""
        self._other_roots.append(roots)

    def collect(self) -> None:
        """Remove blobs and layers that no image needs, nor a container's snapshot."""
        with self._changing:
            blobs, chains = self._table.roots()
            blobs |= self._attested()
            for others in self._other_roots:
                other_blobs, other_chains = others()
                blobs |= other_blobs
                chains |= other_chains
            leased_blobs, leased_chains = self._leases.roots()
            self._snapshots.remove_unneeded_layers(chains | leased_chains)
            self._content.collect(blobs | leased_blobs)

    def _attested(self) -> set[Digest]:
        """Blobs of what is said of images."""
        indexes = map(self._kept, self._table.known_digests())
        return {
            digest
            for index in indexes
            if index is not None
            for found in attached(self._content, index)
            for digest in found.digests
        }

    def sweep(self) -> None:
        """At boot, after the snapshots' own sweep: throw away what was under way."""
        self._content.sweep()
        with _opened(self._staging) as staging:
            for name in os.listdir(staging):
                remove_tree(staging, name)
        self.collect()

    def _delete(self, image: Image) -> Sequence[Removal]:
        before = {layer.chain_id for layer in self._snapshots.layers.all()}
        self._table.remove(image.id)
        self.collect()
        gone = before - {layer.chain_id for layer in self._snapshots.layers.all()}
        layers = [each.chain_id for each in reversed(image.layers) if each.chain_id in gone]
        return [Removal(deleted=image.id), *(Removal(deleted=each) for each in layers)]

    # -- archives ----------------------------------------------------------------------------

    def load(self, source: Readable, *, platforms: Sequence[Platform] = ()) -> Iterator[Progress]:
        """Take in every image of an archive, or none; with `platforms`, every one for those.

        Raises (while iterating): ArchiveRefused, DigestMismatch, StepFailed, OtherPlatform.
        """
        with (
            UnpackingAhead(self.layers) as ahead,
            ImageArchive(self._content, ahead) as received,
        ):
            yield from received.receive(source)
            plans = only_for(platforms, received.plans())
            with self._changing:
                replaced = self._renamed_by(plans)
                ids = self._intake.take_in(plans, collect=self.collect, ahead=ahead)
        yield from replaced
        for image_id, plan in zip(ids, plans, strict=True):
            for name in plan.names:
                yield Progress(stream=f"Loaded image: {name.familiar}\n")
            if not plan.names:
                yield Progress(stream=f"Loaded image ID: {image_id}\n")

    def save(
        self, wanted: Sequence[str], *, platforms: Sequence[Platform] = ()
    ) -> Iterator[bytes]:
        """An archive of images; a name without a tag stands for all of its tags.

        With `platforms`, only the images for them; otherwise all that the names lead to.

        Raises: before the first byte ImageNotFound, InvalidReference, AmbiguousReference,
        OtherPlatform; while iterating StateUnreadable.
        """
        saved: dict[tuple[tuple[ImageId, ...], Digest | None], list[Reference]] = {}
        for reference in wanted:
            for name, found in self._saved_as(reference):
                shown = name.familiar if name is not None else reference
                chosen = [meant(shown, found, self.host, each) for each in platforms] or found
                index = None if name is None or platforms else self._table.index_of(name)
                kept = saved.setdefault((tuple(each.id for each in chosen), index), [])
                if name is not None and name not in kept:
                    kept.append(name)
        return archive(
            self._content,
            [
                SavedImages(
                    siblings=tuple(self._saved(each) for each in ids),
                    names=tuple(names),
                    index=self._kept(index),
                )
                for (ids, index), names in saved.items()
            ],
        )

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
        created = rfc3339_nano(self._clock.now_ns())
        comment = message or "Imported from -"
        target = platform_from(platform, self.host)
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
        created = rfc3339_nano(self._clock.now_ns())
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

    # -- inside ------------------------------------------------------------------------------

    def _index_in(self, reference: str, found: Sequence[Image]) -> Digest | None:
        """The index that a name stands for; None where it, or an id, stands for one image."""
        name = self._finder.name_in(reference)
        if name is None or name.digest in {each.manifest_digest for each in found}:
            return None
        return name.digest or self._table.index_of(name)

    def _kept(self, digest: Digest | None) -> FetchedManifest | None:
        if digest is None:
            return None
        try:
            content = self._content.read(digest, limit_bytes=LARGEST_DOCUMENT)
        except StateUnreadable:
            return None
        return read_manifest(content, expected=digest)

    def _importing(
        self, source: Readable, document: ImageDocument, names: tuple[Reference, ...]
    ) -> Iterator[Progress]:
        plain = decompressed(source)[1]
        with self._content.ingest() as writer:
            while chunk := plain.read(_CHUNK):
                writer.write(chunk)
            layer = writer.finish()
        yield Progress(status=self._make_image(layer, document, names))

    def _bootstrapping(self, recipe: BaseImage) -> Iterator[Progress]:
        with self._workspace() as workspace, self._content.ingest() as writer:
            yield from recipe.write_layer(workspace, writer)
            layer = writer.finish()
        created = rfc3339_nano(recipe.created_at_ns(self._clock.now_ns()))
        document = ImageDocument(
            architecture=self.host.architecture,
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
            with self._changing:
                return self._intake.take_in((plan,), collect=self.collect)[0]
        finally:
            self._content.discard(layer)
            self._content.discard(config)

    def _renamed_by(self, plans: Sequence[ImagePlan]) -> Sequence[Progress]:
        """What Docker says where a name is taken from another image."""
        coming = {ImageId(plan.config.digest) for plan in plans}
        told = []
        for plan in plans:
            for name in plan.names:
                told += [
                    Progress(
                        stream=f"The image {name.familiar} already exists, renaming the old "
                        f"one with ID {old.id} to empty string\n"
                    )
                    for old in self._table.named(name)
                    if old.id not in coming
                ]
        return told

    def _saved_as(self, reference: str) -> Iterator[tuple[Reference | None, Sequence[Image]]]:
        """The names that are saved, and what each leads to; an id is saved without a name."""
        name = self._finder.name_in(reference)
        if name is None:
            yield None, (self.resolve(reference),)
            return
        stands_for_all = not references.parse(reference).tag and name.digest is None
        tags = self._table.tags_of(name.repository) if stands_for_all else ()
        if tags:
            yield from ((each, self._table.named(each)) for each in tags)
        else:
            yield (None if name.digest else name), self._finder.all_of(reference)

    def _saved(self, image_id: ImageId) -> SavedImage:
        image = self._table.get(image_id)
        assert image is not None
        blobs = self._table.blobs_of(image_id)
        content, known = self.manifest_for(image, blobs)
        return SavedImage(image=image, blobs=blobs, content=content, manifest=known)

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[str]:
        """A directory for work under way; gone afterwards, whatever happened in it."""
        name = os.urandom(8).hex()
        path = os.path.join(self._staging, name)
        os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            with _opened(self._staging) as staging:
                remove_tree(staging, name)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _new_name(text: str) -> Reference:
    name = references.parse(text)
    if name.digest is not None:
        raise InvalidReference(text, "cannot import digest reference")
    return name.with_default_tag()
