"""Which images there are: an index in memory of what the rows and the blobs say.

A configuration is read once, at boot or when its image comes. Resolving a reference is part of
each `create`, so it never touches the database.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence

from wherry.content import ContentStore
from wherry.images import image_rows
from wherry.images.documents import LARGEST_DOCUMENT, image_of
from wherry.images.image_names import ImageNames
from wherry.images.image_rows import LayerBlob, ManifestBlob
from wherry.images.references import Reference
from wherry.images.siblings import without_doubles
from wherry.kit.values import dataclass, field, replace
from wherry.model.errors import WherryError
from wherry.model.ids import ChainId, Digest, ImageId
from wherry.model.images import Image
from wherry.snapshots import Snapshots
from wherry.store import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """An image whose blobs and layers are on the disk, about to get its row."""

    id: ImageId
    config: bytes
    layers: tuple[LayerBlob, ...]
    names: tuple[Reference, ...]
    digests: tuple[Reference, ...] = ()
    """What registries call it: names with digests, of its manifest or of the index above."""
    manifest: ManifestBlob | None = None
    indexes: Mapping[Reference, Digest] = field(default_factory=dict)
    """Those by which its names led to it, as far as they did so by an index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedImage:
    """An image whose row is here and whose content is not."""

    id: ImageId
    problem: str


class ImageTable:
    """What the rows say. Changes are serialised by the caller; reading needs no lock."""

    def __init__(self, database: Database, content: ContentStore, snapshots: Snapshots) -> None:
        self._database = database
        self._content = content
        self._snapshots = snapshots
        self._images: dict[ImageId, Image] = {}
        self._ids: list[ImageId] = []
        self._blobs: dict[ImageId, tuple[LayerBlob, ...]] = {}
        self._names = ImageNames()
        self._manifests: dict[ImageId, ManifestBlob] = {}
        self.damaged: list[DamagedImage] = []
        """Found at boot: listed for the operator, otherwise as if they weren't there."""
        self._load()

    # -- reading -----------------------------------------------------------------------------

    def all(self) -> tuple[Image, ...]:
        """Every image, in no order."""
        return tuple(self._images.values())

    def get(self, image_id: ImageId) -> Image | None:
        """The image of a full id."""
        return self._images.get(image_id)

    def named(self, name: Reference) -> tuple[Image, ...]:
        """The images of a full name with a tag or a digest, one for each platform."""
        if name.digest is not None:
            ids = self._names.known_as(name.repository, name.digest)
        else:
            ids = self._names.tagged(name.repository, name.tag)
        return tuple(self._images[each] for each in ids)

    def manifest_of(self, image_id: ImageId) -> ManifestBlob | None:
        """The manifest that an image came with or was pushed with."""
        return self._manifests.get(image_id)

    def digests_of(self, image_id: ImageId) -> tuple[Reference, ...]:
        """What registries call an image."""
        return self._names.digests_of(image_id)

    def index_of(self, name: Reference) -> Digest | None:
        """The index that a tag came with."""
        return self._names.index_of(name)

    def with_prefix(self, digits: str) -> list[ImageId]:
        """At most two ids that begin with these hexadecimal digits."""
        prefix = f"sha256:{digits}"
        ids = self._ids
        start = bisect.bisect_left(ids, prefix)
        return [each for each in ids[start : start + 2] if each.startswith(prefix)]

    def tags_of(self, repository: str) -> tuple[Reference, ...]:
        """Every tag of a full name."""
        return self._names.tags_of(repository)

    def names_of(self, image_id: ImageId) -> tuple[Reference, ...]:
        """Every name of an image."""
        return self._names.names_of(image_id)

    def blobs_of(self, image_id: ImageId) -> tuple[LayerBlob, ...]:
        """The layers' bytes, from the bottom up."""
        return self._blobs[image_id]

    def known_digests(self) -> set[Digest]:
        """Of indexes and manifests that names came with, or that registries know."""
        return self._names.known_digests()

    def roots(self) -> tuple[set[Digest], set[ChainId]]:
        """The blobs and the stacks that images need."""
        blobs = {Digest(image_id) for image_id in self._images}
        blobs |= {layer.blob for layers in self._blobs.values() for layer in layers}
        blobs |= {Digest(each.id) for each in self.damaged}
        blobs |= {manifest.digest for manifest in self._manifests.values()}
        blobs |= self._names.known_digests()
        chains = {image.chain_id for image in self._images.values() if image.chain_id is not None}
        return blobs, chains

    # -- changes -----------------------------------------------------------------------------

    def add(self, images: Iterable[NewImage], *, now_ns: int) -> None:
        """Record images and their names, in one transaction.

        Those of one call that have a name in common stand side by side under it, together with
        what is there of the same index.
        """
        added = {image.id: image for image in images}
        made = {
            each: self._images.get(each)
            or image_of(each, image.config, image.layers, self._snapshots.layers)
            for each, image in added.items()
        }
        names = dict.fromkeys(name for image in added.values() for name in image.names)
        led_to = {name: self._side_by_side(name, added, made) for name in names}
        indexes = dict(pair for each in added.values() for pair in each.indexes.items())
        # Bytes that came with a manifest are those that it names, so they count from now on.
        fresh = {
            each.id for each in added.values() if each.manifest or each.id not in self._images
        }
        with self._database.transaction() as rows:
            for image in added.values():
                image_rows.write_image(rows, image.id, now_ns)
                if image.manifest is not None:
                    image_rows.write_manifest(rows, image.id, image.manifest)
                if image.id in fresh:
                    image_rows.write_layers(rows, image.id, image.layers)
                self._names.write_digests(rows, image.digests, image.id)
            for name, ids in led_to.items():
                self._names.write_tag(rows, name, ids, now_ns, indexes.get(name))
        self.damaged = [each for each in self.damaged if each.id not in added]
        for image in added.values():
            self._remember(made[image.id])
            if image.id in fresh:
                self._blobs[image.id] = image.layers
            if image.manifest is not None:
                self._manifests[image.id] = image.manifest
            for name in image.digests:
                self._names.know(name, image.id)
            self._refresh_names(image.id)
        for name, ids in led_to.items():
            self._point(name, ids, now_ns, indexes.get(name))

    def pushed(
        self,
        image_id: ImageId,
        name: Reference,
        manifest: ManifestBlob,
        layers: tuple[LayerBlob, ...],
    ) -> None:
        """Record what a registry calls an image now, and the layers as they went there."""
        with self._database.transaction() as rows:
            self._names.write_digests(rows, (name,), image_id)
            image_rows.write_manifest(rows, image_id, manifest)
            image_rows.write_layers(rows, image_id, layers)
        self._blobs[image_id] = layers
        self._manifests[image_id] = manifest
        self._names.know(name, image_id)
        self._refresh_names(image_id)

    def forget_digests(self, repository: str, image_id: ImageId) -> tuple[Reference, ...]:
        """Forget what the registry of a name calls an image; returns what was forgotten."""
        gone = tuple(each for each in self.digests_of(image_id) if each.repository == repository)
        with self._database.transaction() as rows:
            self._names.write_forgotten(rows, gone, image_id)
        self._names.forget(image_id, gone)
        self._refresh_names(image_id)
        return gone

    def tag(
        self, name: Reference, led_to: Sequence[ImageId], *, now_ns: int, index: Digest | None
    ) -> None:
        """Let a name lead to these images and to no others, by an index; to none: nowhere."""
        with self._database.transaction() as rows:
            self._names.write_tag(rows, name, led_to, now_ns, index)
        self._point(name, led_to, now_ns, index)

    def remove(self, image_id: ImageId) -> None:
        """Forget an image and its names."""
        with self._database.transaction() as rows:
            image_rows.delete_image(rows, image_id)
        self._names.forget(image_id)
        self._manifests.pop(image_id, None)
        self._ids = [each for each in self._ids if each != image_id]
        del self._images[image_id], self._blobs[image_id]

    # -- inside ------------------------------------------------------------------------------

    def _load(self) -> None:
        with self._database.reading() as rows:
            layers = image_rows.read_layers(rows)
            for image_id in image_rows.read_images(rows):
                self._load_image(image_id, layers.get(image_id, ()))
            for image_id, manifest in image_rows.read_manifests(rows).items():
                if image_id in self._images:
                    self._manifests[image_id] = manifest
            tagged_at_ns = self._names.load(rows, self._images)
        for image_id in self._images:
            self._refresh_names(image_id, tagged_at_ns=tagged_at_ns.get(image_id))

    def _load_image(self, image_id: ImageId, blobs: tuple[LayerBlob, ...]) -> None:
        self._check_blobs(image_id, blobs)
        try:
            config = self._content.read(Digest(image_id), limit_bytes=LARGEST_DOCUMENT)
            self._remember(image_of(image_id, config, blobs, self._snapshots.layers))
            self._blobs[image_id] = blobs
        except (WherryError, OSError) as error:
            self.damaged.append(DamagedImage(id=image_id, problem=str(error)))
            self._database.damages.note(f"image {image_id}", str(error), "load or pull it again")

    def _check_blobs(self, image_id: ImageId, blobs: Iterable[LayerBlob]) -> None:
        """A blob of another size is no use: without it, whatever brings it again heals it."""
        for each in blobs:
            if self._content.drop_damaged(each.blob, size_bytes=each.blob_bytes):
                self._database.damages.note(
                    f"blob {each.blob}",
                    f"gone or damaged; it is a layer of image {image_id}",
                    "containers run, saving and pushing fail; load or pull it again",
                )

    def _side_by_side(
        self, name: Reference, added: Mapping[ImageId, NewImage], made: Mapping[ImageId, Image]
    ) -> list[ImageId]:
        """What a name is to lead to: to what is there of the same index, and to what is added."""
        new = [each for each in added if name in added[each].names]
        indexes = {digest for each in new for digest in added[each].digests}
        kept = [
            each for each in self.named(name) if indexes.intersection(self.digests_of(each.id))
        ]
        newest_first = [*(made[each] for each in reversed(new)), *kept]
        standing = {each.id for each in without_doubles(newest_first)}
        return [each for each in dict.fromkeys((*(k.id for k in kept), *new)) if each in standing]

    def _remember(self, image: Image) -> None:
        if image.id in self._images:
            return
        self._images[image.id] = image
        # A new list each time: another thread may be searching the old one.
        self._ids = sorted((*self._ids, image.id))

    def _point(
        self, name: Reference, led_to: Sequence[ImageId], now_ns: int, index: Digest | None
    ) -> None:
        for each in self._names.point(name, led_to, index):
            self._refresh_names(each, tagged_at_ns=now_ns if each in led_to else None)

    def _refresh_names(self, image_id: ImageId, *, tagged_at_ns: int | None = None) -> None:
        image = self._images[image_id]
        names = tuple(sorted(each.familiar for each in self.names_of(image_id)))
        latest = max(filter(None, (tagged_at_ns, image.tagged_at_ns)), default=None)
        manifest = self._manifests.get(image_id)
        self._images[image_id] = replace(
            image,
            references=names,
            repo_digests=tuple(sorted(each.familiar for each in self.digests_of(image_id))),
            manifest_digest=None if manifest is None else manifest.digest,
            tagged_at_ns=latest,
        )
