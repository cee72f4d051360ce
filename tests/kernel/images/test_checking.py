"""Blobs whose bytes are not what they were, without having another size."""

from pathlib import Path

import pytest

from support.image_archives import config, digest, docker_archive
from support.loaded_images import BASE, TOP, load
from wherry.images import ImageArchives, ImageStore, check_content
from wherry.images.packing import packed
from wherry.model.errors import ContentDamaged, StateUnreadable
from wherry.snapshots import Compression, Snapshots
from wherry.store import Database

pytestmark = pytest.mark.kernel


def damage(data_root: Path, name: str) -> Path:
    """Change one byte of a blob."""
    blob = data_root / "content/blobs/sha256" / name.removeprefix("sha256:")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    return blob


def test_nothing_is_damaged(images: ImageStore) -> None:
    """All blobs are read, and that is all."""
    load(images, docker_archive(BASE, TOP))
    told = [each.stream for each in check_content(images)]
    assert len(told) == 1
    assert told[0].startswith("3 blobs, ")


@pytest.mark.parametrize("name", [digest(BASE), digest(config(BASE, TOP))])
def test_a_check_finds_and_a_load_heals(
    name: str, images: ImageStore, data_root: Path, database: Database
) -> None:
    """It is told by `info`, too; afterwards the same archive brings it again."""
    load(images, docker_archive(BASE, TOP))
    blob = damage(data_root, name)
    told = []
    with pytest.raises(ContentDamaged) as failure:
        told += [each.stream for each in check_content(images)]
    assert (failure.value.damaged, failure.value.checked) == (1, 3)
    assert not blob.exists()
    assert name in str(database.damages.all())
    load(images, docker_archive(BASE, TOP))
    assert blob.exists()
    assert len(list(check_content(images))) == 1


def test_whose_blob_it_is(images: ImageStore, data_root: Path) -> None:
    """A user is told which image to load again."""
    load(images, docker_archive(BASE, TOP))
    load(images, docker_archive(BASE, tags=("other:1",)))
    damage(data_root, digest(BASE))
    told = check_content(images)
    assert next(told).stream == (
        f"{digest(BASE)}: its content has another digest; part of app:1, other:1\n"
    )


def test_no_damaged_blob_is_saved_or_packed(images: ImageStore, data_root: Path) -> None:
    """Who would only notice when it is too late gets an error instead."""
    load(images, docker_archive(BASE, TOP))
    base, top = images.blobs_of(images.resolve("app:1"))
    damage(data_root, base.blob)
    with pytest.raises(StateUnreadable):
        b"".join(ImageArchives(images).save(["app:1"]))
    damage(data_root, top.blob)
    with pytest.raises(StateUnreadable):
        packed(images.content, top, Compression.GZIP)


def test_a_damaged_configuration_is_brought_again(
    images: ImageStore, data_root: Path, database: Database, snapshots: Snapshots
) -> None:
    """A start finds it; what a load brings then is there at the next start, too."""
    load(images, docker_archive(BASE))
    blob = damage(data_root, images.resolve("app:1").id)
    again = ImageStore(str(data_root), database, snapshots)
    assert len(again.damaged) == 1
    load(again, docker_archive(BASE))
    assert blob.exists()
    assert not ImageStore(str(data_root), database, snapshots).damaged
