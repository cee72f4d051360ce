"""The image store: names, removal, and what a crash leaves."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.image_archives import config, docker_archive
from support.loaded_images import BASE, TOP, load, on_disk
from wherry.images import ImageStore, Removal
from wherry.model.errors.containers import AmbiguousReference
from wherry.model.errors.images import ImageHasTags, ImageInUse, ImageNotFound, InvalidReference
from wherry.model.ids import ImageId, SnapshotKey
from wherry.snapshots import Snapshots
from wherry.store import Database

pytestmark = pytest.mark.kernel


def nobody(_image: ImageId) -> Sequence[tuple[str, bool]]:
    """No container uses any image."""
    return ()


# -- resolve and tag -------------------------------------------------------------------------


def test_every_way_to_call_an_image(images: ImageStore) -> None:
    """Familiar name, full name, id with and without algorithm, and the beginning of an id."""
    load(images, docker_archive(BASE, tags=("app:latest",)))
    image = images.resolve("app")
    digits = image.id.removeprefix("sha256:")
    for name in ("app:latest", "docker.io/library/app", "library/app"):
        assert images.resolve(name) is image
    for identifier in (image.id, digits, digits[:12], f"sha256:{digits[:6]}"):
        assert images.resolve(identifier) is image


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("app", "app:latest"),
        ("app:2", "app:2"),
        ("abcdef", "abcdef:latest"),
        ("f" * 64, "sha256:" + "f" * 64),
        ("sha256:ffff", "sha256:ffff"),
        ("app@sha256:" + "f" * 64, "app@sha256:" + "f" * 64),
    ],
)
def test_what_is_not_there_is_called_as_docker_calls_it(
    images: ImageStore, reference: str, shown: str
) -> None:
    """A name gets its default tag in the sentence."""
    load(images, docker_archive(BASE))
    with pytest.raises(ImageNotFound) as caught:
        images.resolve(reference)
    assert caught.value.reference == shown


def test_an_ambiguous_prefix(images: ImageStore) -> None:
    """Two ids that begin alike are told apart by more digits only."""
    for number in range(17):
        load(images, docker_archive(BASE, document=config(BASE, comment=str(number)), tags=()))
    first = [each.id.removeprefix("sha256:")[0] for each in images.list()]
    twice = next(each for each in first if first.count(each) > 1)
    with pytest.raises(AmbiguousReference):
        images.resolve(f"sha256:{twice}")


def test_tagging(images: ImageStore) -> None:
    """A second name leads to the same image, and takes itself from another one."""
    load(images, docker_archive(BASE, tags=("one:1",)))
    load(images, docker_archive(TOP, tags=("two:1",)))
    images.tag("one:1", "reg.example/x/y")
    assert images.resolve("one:1").references == ("one:1", "reg.example/x/y:latest")
    images.tag("two:1", "one:1")
    assert images.resolve("one:1").references == ("one:1", "two:1")
    assert images.resolve("reg.example/x/y").references == ("reg.example/x/y:latest",)
    for wrong in ("Upper", "a b", "x@sha256:" + "a" * 64, "a" * 64):
        with pytest.raises(InvalidReference):
            images.tag("two:1", wrong)


# -- remove ----------------------------------------------------------------------------------


def test_remove_untags_then_deletes(images: ImageStore, data_root: Path) -> None:
    """The last name takes the image with it, layers from the top down."""
    load(images, docker_archive(BASE, TOP))
    image = images.resolve("app:1")
    images.tag("app:1", "app:2")
    assert images.remove("app:2") == [Removal(untagged="app:2")]
    assert images.remove("app:1") == [
        Removal(untagged="app:1"),
        Removal(deleted=image.id),
        Removal(deleted=image.layers[1].chain_id),
        Removal(deleted=image.layers[0].chain_id),
    ]
    assert on_disk(data_root) == []


def test_remove_keeps_shared_layers(images: ImageStore) -> None:
    """What another image stands on stays, and isn't reported."""
    load(images, docker_archive(BASE, tags=("base:1",)))
    load(images, docker_archive(BASE, TOP))
    top = images.resolve("app:1")
    assert [each.deleted for each in images.remove("app:1") if each.deleted] == [
        top.id,
        top.layers[1].chain_id,
    ]
    assert len(images.resolve("base:1").layers) == 1


def test_remove_by_id(images: ImageStore) -> None:
    """All names of one repository go with it; of several only by force."""
    load(images, docker_archive(BASE))
    image = images.resolve("app:1")
    images.tag("app:1", "app:2")
    images.tag("app:1", "other:1")
    with pytest.raises(ImageHasTags):
        images.remove(image.id)
    images.remove("other:1")
    removed = images.remove(image.id.removeprefix("sha256:")[:12])
    assert [each.untagged for each in removed if each.untagged] == ["app:1", "app:2"]
    assert list(images.list()) == []


@pytest.mark.parametrize("is_running", [False, True])
def test_remove_of_an_image_in_use(images: ImageStore, is_running: bool) -> None:
    """A stopped container can be ignored by force, a running one never."""
    load(images, docker_archive(BASE))
    image = images.resolve("app:1")

    def somebody(_image: ImageId) -> Sequence[tuple[str, bool]]:
        return [("c" * 64, is_running)]

    for reference in ("app:1", image.id):
        with pytest.raises(ImageInUse):
            images.remove(reference, users=somebody)
    if is_running:
        with pytest.raises(ImageInUse):
            images.remove(image.id, is_forced=True, users=somebody)
        assert images.remove("app:1", is_forced=True, users=somebody) == [
            Removal(untagged="app:1")
        ]
        assert images.resolve(image.id).references == ()
    else:
        images.remove("app:1", is_forced=True, users=somebody)
        assert list(images.list()) == []


def test_layers_of_a_container_outlive_its_image(
    images: ImageStore, snapshots: Snapshots, data_root: Path
) -> None:
    """A stopped container can be started after its image was removed by force."""
    load(images, docker_archive(BASE))
    key = SnapshotKey("container")
    snapshots.prepare(key, images.resolve("app:1").chain_id)
    images.remove("app:1", is_forced=True)
    assert Path(snapshots.directory, snapshots.rootfs(key).lower[0], "base").exists()
    snapshots.remove(key)
    images.collect()
    assert on_disk(data_root) == []


# -- restarts --------------------------------------------------------------------------------


def reopened(data_root: Path, database: Database) -> tuple[Snapshots, ImageStore]:
    """The stores as a new program sees them."""
    snapshots = Snapshots(str(data_root), database)
    return snapshots, ImageStore(str(data_root), database, snapshots)


def test_a_new_program_knows_the_images(
    images: ImageStore, data_root: Path, database: Database
) -> None:
    """Names, layers and configurations are as they were."""
    load(images, docker_archive(BASE, TOP, tags=("app:1", "app:2")))
    _, again = reopened(data_root, database)
    assert list(again.list()) == list(images.list())


def test_a_layer_may_be_unpacked_before_the_one_it_stands_on(
    snapshots: Snapshots, data_root: Path, database: Database
) -> None:
    """They are unpacked side by side: a new program knows both all the same."""
    store = snapshots.layers
    top, bottom = (store.directories.unpack(io.BytesIO(packed)) for packed in (TOP, BASE))
    below = store.settle(None, bottom)
    above = store.settle(below.layer.chain_id, top)
    store.commit([below, above])
    assert above.layer.number < below.layer.number
    again, _ = reopened(data_root, database)
    assert again.layers.all() == (below.layer, above.layer)
    assert again.layers.forget_unneeded(()) == (above.layer, below.layer)


class Interrupted(BaseException):
    """The program is killed here."""


@pytest.mark.parametrize(
    "step",
    [
        "wherry.snapshots.layer_store.LayerStore.stage",
        "wherry.snapshots.layer_store.syncfs",
        "wherry.snapshots.layer_table.LayerTable.add",
        "wherry.content.store.sync_directory",
        "wherry.images.image_table.ImageTable.add",
    ],
)
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_load_that_does_not_end(
    step: str,
    is_killed: bool,
    data_root: Path,
    database: Database,
    images: ImageStore,
    snapshots: Snapshots,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Failed or killed at any step, nothing is there afterwards, and a second try succeeds."""
    with monkeypatch.context() as patched:
        patched.setattr(step, _raise)
        if is_killed:
            # A killed program cleans nothing up.
            patched.setattr("wherry.images.collecting.Collector.collect", lambda _self: None)
            patched.setattr("wherry.snapshots.layer_store.LayerStore.discard", lambda *_: None)
            patched.setattr("wherry.content.store.ContentStore.discard", lambda *_: None)
        with pytest.raises(Interrupted):
            load(images, docker_archive(BASE, TOP))
    if is_killed:
        snapshots, images = reopened(data_root, database)
        snapshots.sweep(())
        images.sweep()
    assert list(images.list()) == []
    assert on_disk(data_root) == []
    load(images, docker_archive(BASE, TOP))
    assert len(images.resolve("app:1").layers) == 2


def _raise(*_arguments: object, **_options: object) -> None:
    raise Interrupted


def test_a_damaged_image_is_set_apart_and_healed(
    images: ImageStore, data_root: Path, database: Database
) -> None:
    """A broken blob doesn't keep the engine from starting; loading the image again repairs it."""
    load(images, docker_archive(BASE))
    load(images, docker_archive(TOP, tags=("kept:1",)))
    image = images.resolve("app:1")
    blob = data_root / "content/blobs/sha256" / image.id.removeprefix("sha256:")
    blob.write_bytes(b"{}")
    snapshots, again = reopened(data_root, database)
    snapshots.sweep(())
    again.sweep()
    assert [each.id for each in again.damaged] == [image.id]
    assert [each.references for each in again.list()] == [("kept:1",)]
    load(again, docker_archive(BASE))
    assert list(again.damaged) == []
    assert again.resolve("app:1").id == image.id
