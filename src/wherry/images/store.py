"""The local image store: names, ids, and the verbs on them."""

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from wherry.content import ContentStore, StagedBlob
from wherry.images import references
from wherry.images.archive import ImageArchive
from wherry.images.bootstrap import BaseImage, base_image
from wherry.images.changes import apply_changes, completed_by
from wherry.images.documents import LARGEST_DOCUMENT, execution_defaults, read_document
from wherry.images.image_table import (
    MIGRATIONS,
    DamagedImage,
    ImageTable,
    LayerBlob,
    ManifestBlob,
    NewImage,
)
from wherry.images.intake import ImagePlan, Intake
from wherry.images.leases import Lease, Leases
from wherry.images.references import Reference
from wherry.images.save import SavedImage, archive
from wherry.kit.aio import BlockingWriter
from wherry.kit.clock import Clock, SystemClock
from wherry.kit.timestamps import rfc3339_nano
from wherry.linux.files import remove_tree
from wherry.model.errors import (
    AmbiguousReference,
    ImageHasTags,
    ImageInUse,
    ImageNotFound,
    InvalidField,
    InvalidReference,
)
from wherry.model.ids import ChainId, Digest, ImageId, SnapshotKey
from wherry.model.images import CommitPlan, Image
from wherry.model.outcomes import Progress, Removal
from wherry.oci.image_json import encode_image
from wherry.oci.image_spec import ExecutionDefaults, History, ImageDocument
from wherry.snapshots import LayerStore, Readable, Snapshots, StagedLayer, decompressed
from wherry.store import Database

Users = Callable[[ImageId], Sequence[tuple[str, bool]]]
"""The containers made from an image: id, and whether they run."""

Roots = Callable[[], tuple[set[Digest], set[ChainId]]]
"""The blobs and stacks that somebody needs."""

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_FULL_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_CHUNK = 1 << 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


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
        self._staging = os.path.join(data_root, "tmp")
        os.makedirs(self._staging, mode=0o710, exist_ok=True)
        self._content = ContentStore(os.path.join(data_root, "content"))
        self._snapshots = snapshots
        self._table = ImageTable(database, self._content, snapshots)
        self._intake = Intake(
            content=self._content, snapshots=snapshots, table=self._table, clock=self._clock
        )
        self._leases = Leases()
        self._other_roots: list[Roots] = []
        self._changing = threading.RLock()

    # -- finding -----------------------------------------------------------------------------

    def resolve(self, reference: str) -> Image:
        """The image of a name, a name with tag, an id, or the beginning of one.

        Raises: InvalidReference, ImageNotFound, AmbiguousReference.
        """
        match = _FULL_ID.fullmatch(reference)
        if match is not None:
            image = self._table.get(ImageId(f"sha256:{match.group(1)}"))
            if image is None:
                raise ImageNotFound(f"sha256:{match.group(1)}")
            return image
        prefix = _ID.fullmatch(reference)
        if prefix is not None and reference.startswith("sha256:"):
            return self._by_prefix(prefix.group(1), reference)
        name = references.parse(reference).with_default_tag()
        if name.digest is not None:
            image = self._table.known_as(name.repository, name.digest)
            if image is None:
                raise ImageNotFound(name.familiar)
            return image
        image = self._table.tagged(name.repository, name.tag)
        if image is not None:
            return image
        if prefix is None:
            raise ImageNotFound(name.familiar)
        return self._by_prefix(prefix.group(1), name.familiar)

    def list(self) -> Sequence[Image]:
        """Every image."""
        return self._table.all()

    @property
    def damaged(self) -> Sequence[DamagedImage]:
        """Images that have a row and can't be read: another load of them heals it."""
        return self._table.damaged

    def _by_prefix(self, digits: str, shown: str) -> Image:
        found = self._table.with_prefix(digits)
        if len(found) > 1:
            raise AmbiguousReference("image", digits)
        image = self._table.get(found[0]) if found else None
        if image is None:
            raise ImageNotFound(shown)
        return image

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

    def parts_of(self, image: Image) -> tuple[tuple[LayerBlob, ...], ManifestBlob | None]:
        """The layers' bytes from the bottom up, and the manifest that the image came with."""
        return self._table.blobs_of(image.id), self._table.manifest_of(image.id)

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
        """Give an image another name; one that another image had is taken from it.

        Raises: InvalidReference, ImageNotFound, AmbiguousReference.
        """
        new = references.parse(name)
        if new.digest is not None:
            raise InvalidReference(name, "refusing to create a tag with a digest reference")
        with self._changing:
            image = self.resolve(reference)
            self._table.tag(new.with_default_tag(), image.id, now_ns=self._clock.now_ns())

    def remove(
        self, reference: str, *, is_forced: bool = False, users: Users = lambda _image: ()
    ) -> Sequence[Removal]:
        """Untag; delete the image with its last name; delete layers that nothing needs.

        By name, one name goes, and the image only with the last one. By id, all names go, if
        they are of one repository or it is forced. A running container is never ignored.

        Raises: ImageNotFound, InvalidReference, ImageInUse, ImageHasTags.
        """
        with self._changing:
            image = self.resolve(reference)
            names = self._table.names_of(image.id)
            containers = users(image.id)
            if self._is_by_id(reference, image):
                return self._remove_by_id(image, names, containers, is_forced=is_forced)
            name = references.parse(reference).with_default_tag()
            if name.digest is not None:
                names = (*names, name)
            is_last = len(names) == 1
            if is_last and containers and not is_forced:
                # In Docker's words it can be forced, whether the container runs or not.
                raise ImageInUse(reference, containers[0][0], False, image.id)
            removals = [*self._untag(name, image)]
            # Docker leaves an image that a container needs without a name, and says nothing.
            if is_last and not any(is_running for _holder, is_running in containers):
                removals += self._delete(image)
            return removals

    def keep_also(self, roots: "Roots") -> None:
        """Blobs and stacks that somebody else needs, asked for whenever the collector runs."""
        self._other_roots.append(roots)

    def collect(self) -> None:
        """Remove blobs and layers that no image needs, nor a container's snapshot."""
        with self._changing:
            blobs, chains = self._table.roots()
            for others in self._other_roots:
                other_blobs, other_chains = others()
                blobs |= other_blobs
                chains |= other_chains
            leased_blobs, leased_chains = self._leases.roots()
            self._snapshots.remove_unneeded_layers(chains | leased_chains)
            self._content.collect(blobs | leased_blobs)

    def sweep(self) -> None:
        """At boot, after the snapshots' own sweep: throw away what was under way."""
        self._content.sweep()
        with _opened(self._staging) as staging:
            for name in os.listdir(staging):
                remove_tree(staging, name)
        self.collect()

    def _is_by_id(self, reference: str, image: Image) -> bool:
        """Whether the text is the beginning of the id, and not a name that looks like it."""
        match = _ID.fullmatch(reference)
        if match is None or not image.id.startswith(f"sha256:{match.group(1)}"):
            return False
        if reference.startswith("sha256:") or len(reference) == 64:
            return True
        name = references.parse(reference).with_default_tag()
        return self._table.tagged(name.repository, name.tag) is None

    def _remove_by_id(
        self,
        image: Image,
        names: Sequence[Reference],
        containers: Sequence[tuple[str, bool]],
        *,
        is_forced: bool,
    ) -> Sequence[Removal]:
        running = next((holder for holder, is_running in containers if is_running), None)
        if running is not None:
            raise ImageInUse(image.id, running, True, image.id)
        if not is_forced and len({name.repository for name in names}) > 1:
            raise ImageHasTags(image.id)
        if not is_forced and containers:
            raise ImageInUse(image.id, containers[0][0], False, image.id)
        known = (*names, *self._table.digests_of(image.id))
        untagged = [Removal(untagged=name.familiar) for name in known]
        return (*untagged, *self._delete(image))

    def _untag(self, name: Reference, image: Image) -> tuple[Removal, ...]:
        """Take a name away; with the last tag of a repository go its digests."""
        gone: tuple[Reference, ...] = ()
        if name.digest is None:
            self._table.untag(name)
            gone = (name,)
        left = {each.repository for each in self._table.names_of(image.id)}
        if name.digest is not None or name.repository not in left:
            gone += self._table.forget_digests(name.repository, image.id)
        return tuple(Removal(untagged=each.familiar) for each in gone)

    def _delete(self, image: Image) -> Sequence[Removal]:
        before = {layer.chain_id for layer in self._snapshots.layers.all()}
        self._table.remove(image.id)
        self.collect()
        gone = before - {layer.chain_id for layer in self._snapshots.layers.all()}
        layers = [each.chain_id for each in reversed(image.layers) if each.chain_id in gone]
        return [Removal(deleted=image.id), *(Removal(deleted=each) for each in layers)]

    # -- archives ----------------------------------------------------------------------------

    def load(self, source: Readable) -> Iterator[Progress]:
        """Take in every image of an archive, or none.

        Raises (while iterating): ArchiveRefused, DigestMismatch, StepFailed.
        """
        with ImageArchive(self._content) as received:
            yield from received.receive(source)
            plans = received.plans()
            with self._changing:
                replaced = self._renamed_by(plans)
                ids = self._intake.take_in(plans, collect=self.collect)
        yield from replaced
        for image_id, plan in zip(ids, plans, strict=True):
            for name in plan.names:
                yield Progress(stream=f"Loaded image: {name.familiar}\n")
            if not plan.names:
                yield Progress(stream=f"Loaded image ID: {image_id}\n")

    def save(self, wanted: Sequence[str]) -> Iterator[bytes]:
        """An archive of images; a name without a tag stands for all of its tags.

        Raises: before the first byte ImageNotFound, InvalidReference, AmbiguousReference; while
        iterating StateUnreadable.
        """
        images: dict[ImageId, Image] = {}
        names: dict[ImageId, list[Reference]] = {}
        for reference in wanted:
            for image, name in self._saved_as(reference):
                images[image.id] = image
                kept = names.setdefault(image.id, [])
                if name is not None and name not in kept:
                    kept.append(name)
        saved = [
            SavedImage(
                image=image, blobs=self._table.blobs_of(image.id), names=tuple(names[image.id])
            )
            for image in images.values()
        ]
        return archive(self._content, saved)

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
        document = ImageDocument(
            architecture=_architecture(platform),
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
            architecture=_architecture(""),
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
        told = []
        for plan in plans:
            for name in plan.names:
                old = self._table.tagged(name.repository, name.tag)
                if old is not None and old.id != ImageId(plan.config.digest):
                    told.append(
                        Progress(
                            stream=f"The image {name.familiar} already exists, renaming the old "
                            f"one with ID {old.id} to empty string\n"
                        )
                    )
        return told

    def _saved_as(self, reference: str) -> Iterator[tuple[Image, Reference | None]]:
        image = None
        if not _FULL_ID.fullmatch(reference) and not reference.startswith("sha256:"):
            name = references.parse(reference)
            if not name.tag and name.digest is None:
                for each in self._table.tags_of(name.repository):
                    image = self._table.tagged(each.repository, each.tag)
                    if image is not None:
                        yield image, each
                if image is not None:
                    return
            image = self.resolve(reference)
            tagged = self._table.tagged(name.repository, name.tag)
            yield image, name if tagged is not None else None
            return
        yield self.resolve(reference), None

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


def _architecture(platform: str) -> str:
    """The architecture of `linux/arm64`, or this host's. Raises: InvalidField."""
    system, _, rest = platform.partition("/")
    if system not in ("", "linux"):
        raise InvalidField("platform", platform, "must be one of linux")
    machine = os.uname().machine
    return rest.split("/")[0] or _ARCHITECTURES.get(machine, machine)
