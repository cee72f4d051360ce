"""The local image store: names, ids, and the verbs on them.

What comes in by an archive, a pull, a build or from a container is put together by those who
bring it (`archives`, `pulling`, `building`, `making`) and becomes an image here, in one step.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

from wherry.content import ContentStore
from wherry.images import references
from wherry.images.ahead import UnpackingAhead
from wherry.images.collecting import Collector, Roots
from wherry.images.finding import ImageFinder, Meaning
from wherry.images.image_rows import MIGRATIONS, LayerBlob, ManifestBlob
from wherry.images.image_table import DamagedImage, ImageTable, NewImage
from wherry.images.intake import ImagePlan, Intake, TakenIn
from wherry.images.kept_documents import KeptDocuments
from wherry.images.leases import Lease
from wherry.images.references import Reference
from wherry.images.removing import Removals, Users
from wherry.images.siblings import host_platform
from wherry.images.workspaces import Workspaces
from wherry.kit.clock import Clock, SystemClock
from wherry.model.errors.images import UnusableReference
from wherry.model.ids import Digest, ImageId
from wherry.model.images import Image
from wherry.model.outcomes import Removal
from wherry.oci.image_spec import Platform
from wherry.snapshots import LayerStore, Snapshots, StagedLayer
from wherry.store import Database

_HEALED = "it is removed; load or pull its image again"


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
        self.clock = clock or SystemClock()
        self.host = host_platform()
        self.workspaces = Workspaces(f"{data_root}/tmp")
        self._content = ContentStore(
            f"{data_root}/content",
            tell=lambda digest: database.damages.note(
                f"blob {digest}", "its content has another digest", _HEALED
            ),
        )
        self._snapshots = snapshots
        self._table = ImageTable(database, self._content, snapshots)
        self.documents = KeptDocuments(self._content, self._table)
        self._finder = ImageFinder(self._table, self.host)
        self._collector = Collector(
            content=self._content,
            snapshots=snapshots,
            table=self._table,
            documents=self.documents,
        )
        self._intake = Intake(
            content=self._content, snapshots=snapshots, table=self._table, clock=self.clock
        )
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

    def meanings(self, reference: str) -> Sequence[Meaning]:
        """The names that a text stands for, each with what it leads to. Raises: as `resolve`."""
        return self._finder.meanings(reference)

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
        return self._collector.leases.lease()

    def blobs_of(self, image: Image) -> tuple[LayerBlob, ...]:
        """The layers' bytes from the bottom up."""
        return self._table.blobs_of(image.id)

    def known_names(self, image: Image) -> Sequence[Reference]:
        """What registries call an image."""
        return self._table.digests_of(image.id)

    def tags_of(self, repository: str) -> Sequence[Reference]:
        """Every tag of a full name."""
        return self._table.tags_of(repository)

    def take_in(
        self, plans: Sequence[ImagePlan], *, ahead: UnpackingAhead | None = None
    ) -> TakenIn:
        """Make images of blobs that are staged, all or none.

        Raises: ArchiveRefused, DigestMismatch, StepFailed.
        """
        with self._changing:
            return self._intake.take_in(plans, collect=self._collector.collect, ahead=ahead)

    def record(self, image: NewImage, staged: Sequence[StagedLayer]) -> None:
        """Make an image of layers that are staged and blobs that are here, durably.

        Raises: StepFailed; then the layers are discarded.
        """
        with self._changing:
            try:
                self.layers.commit(staged)
                self._content.commit(self._content.stage(image.config))
                self._table.add((image,), now_ns=self.clock.now_ns())
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
            self._table.add(images, now_ns=self.clock.now_ns())

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
        new = references.parse_new(name)
        if new.digest is not None:
            raise UnusableReference(name, "refusing to create a tag with a digest reference")
        with self._changing:
            found = self._finder.all_of(reference)
            self._table.tag(
                new,
                [each.id for each in found],
                now_ns=self.clock.now_ns(),
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
            removals = Removals(self._table, self._finder, users, now_ns=self.clock.now_ns())
            going = removals.untag(reference, platforms, is_forced=is_forced)
            deleted = [each for image in going for each in self._delete(image)]
            return [*removals.told, *deleted]

    def keep_also(self, roots: Roots) -> None:
        """Blobs and stacks that somebody else needs, asked for whenever the collector runs."""
        self._collector.roots.append(roots)

    def collect(self) -> None:
        """Remove blobs and layers that no image needs, nor a container's snapshot."""
        with self._changing:
            self._collector.collect()

    def sweep(self) -> None:
        """At boot, after the snapshots' own sweep: throw away what was under way."""
        self._content.sweep()
        self.workspaces.sweep()
        self.collect()

    def _delete(self, image: Image) -> Sequence[Removal]:
        before = {layer.chain_id for layer in self._snapshots.layers.all()}
        self._table.remove(image.id)
        self.collect()
        gone = before - {layer.chain_id for layer in self._snapshots.layers.all()}
        layers = [each.chain_id for each in reversed(image.layers) if each.chain_id in gone]
        return [Removal(deleted=image.id), *(Removal(deleted=each) for each in layers)]

    def _index_in(self, reference: str, found: Sequence[Image]) -> Digest | None:
        """The index that a name stands for; None where it, or an id, stands for one image."""
        name = self._finder.name_in(reference)
        if name is None or name.digest in {each.manifest_digest for each in found}:
            return None
        return name.digest or self._table.index_of(name)
