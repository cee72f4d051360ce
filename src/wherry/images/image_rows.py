"""The rows of images: which there are, the bytes of their layers, their manifests.

The configuration is not in a row: it is a blob whose digest is the image's id.
"""

import sqlite3
from collections.abc import Sequence

from wherry.kit.values import dataclass
from wherry.model.ids import DiffId, Digest, ImageId
from wherry.store import Migration

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


def read_layers(rows: sqlite3.Connection) -> dict[ImageId, tuple[LayerBlob, ...]]:
    """The layers of every image that has some, from the bottom up."""
    found: dict[ImageId, list[LayerBlob]] = {}
    for image_id, diff, blob, size, media_type in rows.execute(
        "SELECT image_id, diff_id, blob, blob_bytes, media_type FROM image_layers "
        "ORDER BY image_id, position"
    ):
        layer = LayerBlob(
            diff_id=DiffId(diff), blob=Digest(blob), blob_bytes=size, media_type=media_type
        )
        found.setdefault(ImageId(image_id), []).append(layer)
    return {image_id: tuple(layers) for image_id, layers in found.items()}


def read_images(rows: sqlite3.Connection) -> list[ImageId]:
    """Every image."""
    return [ImageId(image_id) for (image_id,) in rows.execute("SELECT id FROM images")]


def read_manifests(rows: sqlite3.Connection) -> dict[ImageId, ManifestBlob]:
    """The manifests of those images that came with one, or were pushed."""
    return {
        ImageId(image_id): ManifestBlob(digest=Digest(digest), media_type=media_type)
        for image_id, digest, media_type in rows.execute(
            "SELECT image_id, digest, media_type FROM image_manifests"
        )
    }


def write_image(rows: sqlite3.Connection, image_id: ImageId, now_ns: int) -> None:
    """Let there be an image; one that is there stays."""
    rows.execute(
        "INSERT INTO images VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (image_id, now_ns)
    )


def write_layers(rows: sqlite3.Connection, image_id: ImageId, layers: Sequence[LayerBlob]) -> None:
    """Let an image's layers be these bytes."""
    rows.executemany(
        "INSERT INTO image_layers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (image_id, position) "
        "DO UPDATE SET blob = excluded.blob, blob_bytes = excluded.blob_bytes, "
        "media_type = excluded.media_type",
        [
            (image_id, position, each.diff_id, each.blob, each.blob_bytes, each.media_type)
            for position, each in enumerate(layers)
        ],
    )


def write_manifest(rows: sqlite3.Connection, image_id: ImageId, manifest: ManifestBlob) -> None:
    """Let an image be known by this manifest."""
    rows.execute(
        "INSERT INTO image_manifests VALUES (?, ?, ?) ON CONFLICT (image_id) "
        "DO UPDATE SET digest = excluded.digest, media_type = excluded.media_type",
        (image_id, manifest.digest, manifest.media_type),
    )


def delete_image(rows: sqlite3.Connection, image_id: ImageId) -> None:
    """Let an image and its names be no more."""
    rows.execute("DELETE FROM image_names WHERE image_id = ?", (image_id,))
    rows.execute("DELETE FROM images WHERE id = ?", (image_id,))
