"""Which images there are and how they are called: rows, and an index of them in memory.

The configuration is not in a row: it is a blob whose digest is the image's id, and is read again
at boot. Resolving a reference is part of each `create`, so it never touches the database.
"""

import bisect
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from wherry.content import ContentStore
from wherry.images.documents import (
    LARGEST_DOCUMENT,
    history_entry,
    image_config,
    moment,
    read_document,
)
from wherry.images.image_names import ImageNames
from wherry.images.references import Reference
from wherry.images.siblings import without_doubles
from wherry.kit.values import dataclass, field, replace
from wherry.model.errors import StateUnreadable, WherryError
from wherry.model.ids import ChainId, DiffId, Digest, ImageId
from wherry.model.images import Image, Layer
from wherry.snapshots import Snapshots, chain_id
from wherry.store import Database, Migration

MIGRATIONS = (
    Migration(
        room="images",
        number=1,
        sql="""
CREATE TABLE images (
    id          TEXT PRIMARY KEY,
    added_at_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE image_layers (
    image_id   TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    diff_id    TEXT NOT NULL,
    blob       TEXT NOT NULL,
    blob_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (image_id, position)
) STRICT;
CREATE TABLE image_tags (
    repository   TEXT NOT NULL,
    tag          TEXT NOT NULL,
    image_id     TEXT NOT NULL REFERENCES images (id) ON DELETE RESTRICT,
    tagged_at_ns INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
) STRICT;
""",
    ),
    Migration(
        room="images",
        number=2,
        sql="""
CREATE TABLE image_digests (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    image_id   TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    PRIMARY KEY (repository, digest)
) STRICT;
CREATE TABLE image_manifests (
    image_id   TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    media_type TEXT NOT NULL
) STRICT;
""",
    ),
    Migration(
        room="images",
        number=3,
        breaks_older=True,  # they would take the first image of a name for the only one
        sql="""
CREATE TABLE image_names (
    repository   TEXT NOT NULL,
    tag          TEXT NOT NULL,
    image_id     TEXT NOT NULL REFERENCES images (id) ON DELETE RESTRICT,
    tagged_at_ns INTEGER NOT NULL,
    PRIMARY KEY (repository, tag, image_id)
) STRICT;
INSERT INTO image_names SELECT repository, tag, image_id, tagged_at_ns FROM image_tags;
DROP TABLE image_tags;
CREATE TABLE known_digests (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    image_id   TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    PRIMARY KEY (repository, digest, image_id)
) STRICT;
INSERT INTO known_digests SELECT repository, digest, image_id FROM image_digests;
DROP TABLE image_digests;
""",
    ),
    Migration(
        room="images",
        number=4,
        sql="ALTER TABLE image_names ADD COLUMN index_digest TEXT;",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBlob:
    """A layer's bytes as they came: what `save` and a push give out again."""

    diff_id: DiffId
    blob: Digest
    blob_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestBlob:
    """The manifest that an image came with, or was pushed with: registries know it by this."""

    digest: Digest
    media_type: str


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
            or _image(each, image.config, image.layers, self._snapshots)
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
                _write_image(rows, image, now_ns)
                if image.id in fresh:
                    _write_layers(rows, image.id, image.layers)
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
            _write_manifest(rows, image_id, manifest)
            _write_layers(rows, image_id, layers)
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
            rows.execute("DELETE FROM image_names WHERE image_id = ?", (image_id,))
            rows.execute("DELETE FROM images WHERE id = ?", (image_id,))
        self._names.forget(image_id)
        self._manifests.pop(image_id, None)
        self._ids = [each for each in self._ids if each != image_id]
        del self._images[image_id], self._blobs[image_id]

    # -- inside ------------------------------------------------------------------------------

    def _load(self) -> None:
        with self._database.reading() as rows:
            blobs: dict[str, list[LayerBlob]] = {}
            for image_id, diff, blob, size, media_type in rows.execute(
                "SELECT image_id, diff_id, blob, blob_bytes, media_type FROM image_layers "
                "ORDER BY image_id, position"
            ):
                layer = LayerBlob(
                    diff_id=DiffId(diff), blob=Digest(blob), blob_bytes=size, media_type=media_type
                )
                blobs.setdefault(image_id, []).append(layer)
            for (image_id,) in rows.execute("SELECT id FROM images"):
                self._check_blobs(ImageId(image_id), blobs.get(image_id, ()))
                self._load_image(ImageId(image_id), tuple(blobs.get(image_id, ())))
            for image_id, digest, media_type in rows.execute(
                "SELECT image_id, digest, media_type FROM image_manifests"
            ):
                if image_id in self._images:
                    self._manifests[image_id] = ManifestBlob(digest=digest, media_type=media_type)
            tagged_at_ns = self._names.load(rows, self._images)
        for image_id in self._images:
            self._refresh_names(image_id, tagged_at_ns=tagged_at_ns.get(image_id))

    def _load_image(self, image_id: ImageId, blobs: tuple[LayerBlob, ...]) -> None:
        try:
            config = self._content.read(Digest(image_id), limit_bytes=LARGEST_DOCUMENT)
            self._remember(_image(image_id, config, blobs, self._snapshots))
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


def _write_image(rows: sqlite3.Connection, image: NewImage, now_ns: int) -> None:
    rows.execute(
        "INSERT INTO images VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (image.id, now_ns)
    )
    if image.manifest is not None:
        _write_manifest(rows, image.id, image.manifest)


def _write_layers(
    rows: sqlite3.Connection, image_id: ImageId, layers: Sequence[LayerBlob]
) -> None:
    rows.executemany(
        "INSERT INTO image_layers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (image_id, position) "
        "DO UPDATE SET blob = excluded.blob, blob_bytes = excluded.blob_bytes, "
        "media_type = excluded.media_type",
        [
            (image_id, position, each.diff_id, each.blob, each.blob_bytes, each.media_type)
            for position, each in enumerate(layers)
        ],
    )


def _write_manifest(rows: sqlite3.Connection, image_id: ImageId, manifest: ManifestBlob) -> None:
    rows.execute(
        "INSERT INTO image_manifests VALUES (?, ?, ?) ON CONFLICT (image_id) "
        "DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type",
        (image_id, manifest.digest, manifest.media_type),
    )


def _image(
    image_id: ImageId, config: bytes, blobs: tuple[LayerBlob, ...], snapshots: Snapshots
) -> Image:
    """An image from its configuration and unpacked layers. Raises: WherryError."""
    document = read_document(config)
    layers: list[Layer] = []
    chain: ChainId | None = None
    for blob in blobs:
        chain = chain_id(chain, blob.diff_id)
        committed = snapshots.layers.get(chain)
        if committed is None:
            raise StateUnreadable(f"layer {chain}", "missing")
        layers.append(Layer(diff_id=blob.diff_id, chain_id=chain, size_bytes=committed.size_bytes))
    return Image(
        id=image_id,
        references=(),
        config=image_config(document.config),
        layers=tuple(layers),
        history=tuple(history_entry(each) for each in document.history),
        architecture=document.architecture or "amd64",
        variant=document.variant,
        operating_system=document.os or "linux",
        created_at_ns=moment(document.created),
        author=document.author,
        comment=document.comment,
        size_bytes=sum(layer.size_bytes for layer in layers),
    )
