"""Which images there are and how they are called: rows, and an index of them in memory.

The configuration is not in a row: it is a blob whose digest is the image's id, and is read again
at boot. Resolving a reference is part of each `create`, so it never touches the database.
"""

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, replace

from wherry.content import ContentStore
from wherry.images.documents import (
    LARGEST_DOCUMENT,
    history_entry,
    image_config,
    moment,
    read_document,
)
from wherry.images.references import Reference, from_full, with_digest
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
        self._tags: dict[tuple[str, str], ImageId] = {}
        self._digests: dict[tuple[str, Digest], ImageId] = {}
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

    def tagged(self, repository: str, tag: str) -> Image | None:
        """The image of a full name and tag."""
        image_id = self._tags.get((repository, tag))
        return None if image_id is None else self._images[image_id]

    def known_as(self, repository: str, digest: Digest) -> Image | None:
        """The image that a registry knows by a full name and a digest."""
        image_id = self._digests.get((repository, digest))
        return None if image_id is None else self._images[image_id]

    def manifest_of(self, image_id: ImageId) -> ManifestBlob | None:
        """The manifest that an image came with or was pushed with."""
        return self._manifests.get(image_id)

    def digests_of(self, image_id: ImageId) -> tuple[Reference, ...]:
        """What registries call an image."""
        return tuple(
            with_digest(*name)
            for name in sorted(self._digests)
            if self._digests.get(name) == image_id
        )

    def with_prefix(self, digits: str) -> list[ImageId]:
        """At most two ids that begin with these hexadecimal digits."""
        prefix = f"sha256:{digits}"
        ids = self._ids
        start = bisect.bisect_left(ids, prefix)
        return [each for each in ids[start : start + 2] if each.startswith(prefix)]

    def tags_of(self, repository: str) -> tuple[Reference, ...]:
        """Every tag of a full name."""
        return tuple(from_full(*each) for each in sorted(self._tags) if each[0] == repository)

    def names_of(self, image_id: ImageId) -> tuple[Reference, ...]:
        """Every name of an image."""
        return tuple(
            from_full(*name) for name in sorted(self._tags) if self._tags.get(name) == image_id
        )

    def blobs_of(self, image_id: ImageId) -> tuple[LayerBlob, ...]:
        """The layers' bytes, from the bottom up."""
        return self._blobs[image_id]

    def roots(self) -> tuple[set[Digest], set[ChainId]]:
        """The blobs and the stacks that images need."""
        blobs = {Digest(image_id) for image_id in self._images}
        blobs |= {layer.blob for layers in self._blobs.values() for layer in layers}
        blobs |= {Digest(each.id) for each in self.damaged}
        blobs |= {manifest.digest for manifest in self._manifests.values()}
        chains = {image.chain_id for image in self._images.values() if image.chain_id is not None}
        return blobs, chains

    # -- changes -----------------------------------------------------------------------------

    def add(self, images: Iterable[NewImage], *, now_ns: int) -> None:
        """Record images and their names, in one transaction."""
        added = tuple(images)
        with self._database.transaction() as rows:
            for image in added:
                rows.execute(
                    "INSERT INTO images VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
                    (image.id, now_ns),
                )
                rows.executemany(
                    "INSERT INTO image_layers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [
                        (image.id, position, each.diff_id, each.blob, each.blob_bytes,
                         each.media_type)
                        for position, each in enumerate(image.layers)
                    ],
                )  # fmt: skip
                rows.executemany(
                    "INSERT INTO image_tags VALUES (?, ?, ?, ?) ON CONFLICT (repository, tag) "
                    "DO UPDATE SET image_id = excluded.image_id, "
                    "tagged_at_ns = excluded.tagged_at_ns",
                    [(name.repository, name.tag, image.id, now_ns) for name in image.names],
                )
                rows.executemany(
                    "INSERT INTO image_digests VALUES (?, ?, ?) ON CONFLICT (repository, digest) "
                    "DO UPDATE SET image_id = excluded.image_id",
                    [(name.repository, name.digest, image.id) for name in image.digests],
                )
                if image.manifest is not None:
                    rows.execute(
                        "INSERT INTO image_manifests VALUES (?, ?, ?) ON CONFLICT (image_id) "
                        "DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type",
                        (image.id, image.manifest.digest, image.manifest.media_type),
                    )
        for image in added:
            self.damaged = [each for each in self.damaged if each.id != image.id]
            if image.id not in self._images:
                self._remember(image.id, image.config, image.layers)
            if image.manifest is not None:
                self._manifests[image.id] = image.manifest
            for name in image.names:
                self._point(name, image.id, now_ns)
            for name in image.digests:
                self._know(name, image.id)

    def pushed(
        self,
        image_id: ImageId,
        name: Reference,
        manifest: ManifestBlob,
        layers: tuple[LayerBlob, ...],
    ) -> None:
        """Record what a registry calls an image now, and the layers as they went there."""
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT INTO image_digests VALUES (?, ?, ?) ON CONFLICT (repository, digest) "
                "DO UPDATE SET image_id = excluded.image_id",
                (name.repository, name.digest, image_id),
            )
            rows.execute(
                "INSERT INTO image_manifests VALUES (?, ?, ?) ON CONFLICT (image_id) "
                "DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type",
                (image_id, manifest.digest, manifest.media_type),
            )
            rows.executemany(
                "UPDATE image_layers SET blob = ?, blob_bytes = ?, media_type = ? "
                "WHERE image_id = ? AND position = ?",
                [
                    (each.blob, each.blob_bytes, each.media_type, image_id, position)
                    for position, each in enumerate(layers)
                ],
            )
        self._blobs[image_id] = layers
        self._manifests[image_id] = manifest
        self._know(name, image_id)

    def forget_digests(self, repository: str, image_id: ImageId) -> tuple[Reference, ...]:
        """Forget what the registry of a name calls an image; returns what was forgotten."""
        gone = tuple(each for each in self.digests_of(image_id) if each.repository == repository)
        with self._database.transaction() as rows:
            rows.executemany(
                "DELETE FROM image_digests WHERE repository = ? AND digest = ?",
                [(each.repository, each.digest) for each in gone],
            )
        for each in gone:
            assert each.digest is not None
            del self._digests[each.repository, each.digest]
        self._refresh_names(image_id)
        return gone

    def tag(self, name: Reference, image_id: ImageId, *, now_ns: int) -> None:
        """Let a name lead to an image."""
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT INTO image_tags VALUES (?, ?, ?, ?) ON CONFLICT (repository, tag) "
                "DO UPDATE SET image_id = excluded.image_id, tagged_at_ns = excluded.tagged_at_ns",
                (name.repository, name.tag, image_id, now_ns),
            )
        self._point(name, image_id, now_ns)

    def untag(self, name: Reference) -> None:
        """Let a name lead nowhere."""
        with self._database.transaction() as rows:
            rows.execute(
                "DELETE FROM image_tags WHERE repository = ? AND tag = ?",
                (name.repository, name.tag),
            )
        self._refresh_names(self._tags.pop((name.repository, name.tag)))

    def remove(self, image_id: ImageId) -> None:
        """Forget an image and its names."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM image_tags WHERE image_id = ?", (image_id,))
            rows.execute("DELETE FROM images WHERE id = ?", (image_id,))
        self._tags = {name: each for name, each in self._tags.items() if each != image_id}
        self._digests = {name: each for name, each in self._digests.items() if each != image_id}
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
            ids = [ImageId(each) for (each,) in rows.execute("SELECT id FROM images")]
            tags = rows.execute(
                "SELECT repository, tag, image_id, tagged_at_ns FROM image_tags"
            ).fetchall()
            digests = rows.execute(
                "SELECT repository, digest, image_id FROM image_digests"
            ).fetchall()
            manifests = rows.execute(
                "SELECT image_id, digest, media_type FROM image_manifests"
            ).fetchall()
        for image_id in ids:
            try:
                config = self._content.read(Digest(image_id), limit_bytes=LARGEST_DOCUMENT)
                self._remember(image_id, config, tuple(blobs.get(image_id, ())))
            except (WherryError, OSError) as error:
                self.damaged.append(DamagedImage(id=image_id, problem=str(error)))
        for repository, tag, image_id, tagged_at_ns in tags:
            if image_id in self._images:
                self._point(from_full(repository, tag), image_id, tagged_at_ns)
        for repository, digest, image_id in digests:
            if image_id in self._images:
                self._know(with_digest(repository, digest), image_id)
        for image_id, digest, media_type in manifests:
            if image_id in self._images:
                self._manifests[image_id] = ManifestBlob(digest=digest, media_type=media_type)

    def _remember(self, image_id: ImageId, config: bytes, blobs: tuple[LayerBlob, ...]) -> None:
        self._images[image_id] = _image(image_id, config, blobs, self._snapshots)
        self._blobs[image_id] = blobs
        # A new list each time: another thread may be searching the old one.
        self._ids = sorted((*self._ids, image_id))

    def _point(self, name: Reference, image_id: ImageId, now_ns: int) -> None:
        before = self._tags.get((name.repository, name.tag))
        self._tags[name.repository, name.tag] = image_id
        if before is not None and before != image_id:
            self._refresh_names(before)
        self._refresh_names(image_id, tagged_at_ns=now_ns)

    def _know(self, name: Reference, image_id: ImageId) -> None:
        assert name.digest is not None
        before = self._digests.get((name.repository, name.digest))
        self._digests[name.repository, name.digest] = image_id
        for each in {before, image_id} - {None}:
            assert each is not None
            self._refresh_names(each)

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
