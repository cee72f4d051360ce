"""The image store: archives in and out, names, removal, and what a crash leaves."""

import gzip
import io
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.image_archives import (
    config,
    digest,
    docker_archive,
    layer,
    oci_layout,
    with_manifest,
)
from support.tar_archives import archive, directory, hard_link, member, symlink
from wherry.images import ImageStore, Removal
from wherry.model.errors import (
    AmbiguousReference,
    ArchiveRefused,
    DigestMismatch,
    ImageHasTags,
    ImageInUse,
    ImageNotFound,
    InvalidReference,
    InvalidValue,
    WherryError,
)
from wherry.model.ids import ImageId, SnapshotKey
from wherry.snapshots import Snapshots, TarReader
from wherry.store import Database

pytestmark = pytest.mark.kernel

BASE, TOP = layer("base", b"1"), layer("top", b"2")


def load(images: ImageStore, content: bytes) -> list[str]:
    """Load an archive; the lines that a user sees."""
    return [each.stream for each in images.load(io.BytesIO(content)) if each.stream]


def on_disk(data_root: Path) -> list[str]:
    """Blobs, layers and what is under way."""
    places = ("content/blobs/sha256", "content/ingest", "overlay2", "tmp")
    return sorted(f"{place}/{name}" for place in places for name in os.listdir(data_root / place))


def nobody(_image: ImageId) -> Sequence[tuple[str, bool]]:
    """No container uses any image."""
    return ()


# -- load ------------------------------------------------------------------------------------


def test_load_of_a_classic_archive(images: ImageStore, snapshots: Snapshots) -> None:
    """The id is the digest of the configuration as it came; layers are unpacked."""
    document = config(BASE, TOP)
    assert load(images, docker_archive(BASE, TOP)) == ["Loaded image: app:1\n"]
    image = images.resolve("app:1")
    assert image.id == digest(document)
    assert image.references == ("app:1",)
    assert image.config.command == ("/bin/true",)
    assert [each.diff_id for each in image.layers] == [digest(BASE), digest(TOP)]
    assert image.size_bytes == 2
    assert image.chain_id is not None
    snapshots.prepare(SnapshotKey("container"), image.chain_id)
    assert snapshots.rootfs(SnapshotKey("container")).lower == ("2/diff", "1/diff")


def test_load_of_an_oci_archive_that_podman_named(images: ImageStore) -> None:
    """podman writes the full name into `ref.name`; a tag alone names nothing."""
    named = {"org.opencontainers.image.ref.name": "docker.io/library/app:3"}
    assert load(images, oci_layout({BASE: BASE}, "", annotations=named)) == [
        "Loaded image: app:3\n"
    ]
    tagged = {"org.opencontainers.image.ref.name": "3"}
    (said,) = load(images, oci_layout({BASE: BASE}, "", annotations=tagged))
    assert said.startswith("Loaded image ID: sha256:")


def test_load_of_an_oci_layout_with_compressed_layers(images: ImageStore) -> None:
    """Without manifest.json the index tells, and compressed layers stay as they are."""
    packed = gzip.compress(BASE)
    assert load(images, oci_layout({BASE: packed}, "docker.io/library/app:2")) == [
        "Loaded image: app:2\n"
    ]
    saved = b"".join(images.save(["app:2"]))
    assert packed in saved


def test_load_of_a_compressed_archive_without_names(images: ImageStore) -> None:
    """Then the id is what a user is told."""
    lines = load(images, gzip.compress(docker_archive(BASE, tags=())))
    assert lines == [f"Loaded image ID: {digest(config(BASE))}\n"]


def test_layers_that_are_links_in_the_archive(images: ImageStore) -> None:
    """Engines before 25 wrote a link where two images share a layer."""
    manifest = [{"Config": "c", "RepoTags": ["app:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}]
    files = {"c": config(BASE, BASE), "a/layer.tar": BASE}
    load(images, with_manifest(manifest, files, symlink("b/layer.tar", "../a/layer.tar")))
    load(images, with_manifest(manifest, files, hard_link("b/layer.tar", "a/layer.tar")))
    assert len(images.resolve("app:1").layers) == 2


def test_a_name_is_taken_from_an_older_image(images: ImageStore) -> None:
    """Docker's sentence says so; the older image stays, without a name."""
    load(images, docker_archive(BASE))
    old = images.resolve("app:1")
    lines = load(images, docker_archive(TOP))
    assert lines == [
        f"The image app:1 already exists, renaming the old one with ID {old.id} to empty string\n",
        "Loaded image: app:1\n",
    ]
    assert images.resolve(old.id).references == ()
    assert images.resolve("app:1").id != old.id


def _manifest(**changes: object) -> list[dict[str, object]]:
    return [{"Config": "c", "RepoTags": ["app:1"], "Layers": ["l"], **changes}]


FILES = {"c": config(BASE), "l": BASE}

HOSTILE_ARCHIVES = {
    "nothing": b"",
    "noise": b"noise" * 1000,
    "no manifest": archive(member("c", FILES["c"])),
    "manifest that is no list": with_manifest({"images": 1}, FILES),
    "manifest with a second document": archive(member("manifest.json", b'[]},{"a":[')),
    "manifest nested too deeply": archive(member("manifest.json", b"[" * 100_000)),
    "manifest with NaN": archive(member("manifest.json", b'[{"Config": NaN}]')),
    "manifest of 5 GB": archive(
        member("manifest.json", size_field=b"\x80" + (5 << 30).to_bytes(11, "big"))
    ),
    "config above the root": with_manifest(_manifest(Config="../../../etc/passwd"), FILES),
    "config by an absolute name": with_manifest(_manifest(Config="/etc/passwd"), FILES),
    "config that is missing": with_manifest(_manifest(Config="x"), FILES),
    "config that is a directory": with_manifest(_manifest(Config="d"), FILES, directory("d")),
    "config that is no JSON": with_manifest(_manifest(), {"c": b"x", "l": BASE}),
    "config of 5 MiB": with_manifest(_manifest(), {"c": b" " * (5 << 20), "l": BASE}),
    "config for windows": with_manifest(_manifest(), {"c": config(BASE, os="windows"), "l": BASE}),
    "layer above the root": with_manifest(_manifest(Layers=["../../l"]), FILES),
    "layer that is a link to the host": with_manifest(
        _manifest(Layers=["s"]), FILES, symlink("s", "/etc/passwd")
    ),
    "layer that is a link above the root": with_manifest(
        _manifest(Layers=["s"]), FILES, symlink("s", "../../../../etc/passwd")
    ),
    "layers that are links in a circle": with_manifest(
        _manifest(Layers=["a"]), FILES, symlink("a", "b"), symlink("b", "a")
    ),
    "layer that is a device": with_manifest(
        _manifest(Layers=["s"]), FILES, member("s", kind=b"3", major=1, minor=5)
    ),
    "more layers than the config has": with_manifest(_manifest(Layers=["l", "l"]), FILES),
    "layer of other content": with_manifest(_manifest(), {"c": FILES["c"], "l": TOP}),
    "layer that is hostile": with_manifest(
        _manifest(),
        {"c": config(archive(member("../x"))), "l": archive(member("../x"))},
    ),
    "name that is none": with_manifest(_manifest(RepoTags=["App:1"]), FILES),
    "name without a tag": with_manifest(_manifest(RepoTags=["app"]), FILES),
    "second image that is bad": with_manifest(
        [*_manifest(), *_manifest(Config="gone", RepoTags=["other:1"])], FILES
    ),
    "blob that is not its digest": oci_layout({BASE: BASE}, "app:1").replace(b"true", b"evil"),
    "index for another system": oci_layout(
        {BASE: BASE}, "app:1", mediaType="application/vnd.oci.image.index.v1+json"
    ),
}


@pytest.mark.parametrize("name", HOSTILE_ARCHIVES)
def test_hostile_archives(name: str, images: ImageStore, data_root: Path) -> None:
    """Refused with a sentence; no name, image, layer or blob is left, and others are as before."""
    load(images, docker_archive(TOP, tags=("kept:1",)))
    before = on_disk(data_root)
    with pytest.raises((ArchiveRefused, DigestMismatch)):
        load(images, HOSTILE_ARCHIVES[name])
    assert [each.references for each in images.list()] == [("kept:1",)]
    assert on_disk(data_root) == before


def test_too_many_members(images: ImageStore, data_root: Path) -> None:
    """An archive of countless small files is given up at a bound."""
    with pytest.raises(ArchiveRefused, match="more than 16384 members"):
        load(images, archive(*(member(f"{number}") for number in range(16_385))))
    assert on_disk(data_root) == []


# -- save ------------------------------------------------------------------------------------


def test_save_and_load_are_a_round_trip(images: ImageStore, data_root: Path) -> None:
    """The archive brings back every image and name, and is the same when saved again."""
    load(images, docker_archive(BASE, TOP, tags=("app:1", "reg.example/app:2")))
    load(images, docker_archive(TOP, tags=("other:1",)))
    before = {(each.id, each.references) for each in images.list()}
    saved = b"".join(images.save(["app", "reg.example/app:2", "other:1"]))
    for each in ("app:1", "reg.example/app:2", "other:1"):
        images.remove(each, users=nobody)
    assert on_disk(data_root) == []
    load(images, saved)
    assert {(each.id, each.references) for each in images.list()} == before
    assert b"".join(images.save(["app", "reg.example/app:2", "other:1"])) == saved


def test_save_by_id_has_no_name(images: ImageStore) -> None:
    """An id was asked for, so an id is what one gets."""
    load(images, docker_archive(BASE))
    saved = b"".join(images.save([images.resolve("app:1").id]))
    images.remove("app:1", users=nobody)
    assert load(images, saved) == [f"Loaded image ID: {digest(config(BASE))}\n"]


def test_save_of_what_is_not_there(images: ImageStore) -> None:
    """The refusal comes before the first byte."""
    with pytest.raises(ImageNotFound):
        images.save(["nothing"])


def test_every_document_of_a_saved_archive_fits(images: ImageStore) -> None:
    """Each blob is what its name says, and both indexes lead to the same configuration."""
    load(images, docker_archive(BASE, TOP))
    files = {}
    reader = TarReader(io.BytesIO(b"".join(images.save(["app:1"]))))
    for entry in reader:
        files[entry.path.decode()] = b"".join(iter(lambda: bytes(reader.read_content()), b""))
    blobs = {
        name: each for name, each in files.items() if name.startswith("blobs/sha256/") and each
    }
    assert len(blobs) == 4
    for name, content in blobs.items():
        assert digest(content) == "sha256:" + name.removeprefix("blobs/sha256/")
    (entry_of_image,) = json.loads(files["manifest.json"])
    assert entry_of_image["RepoTags"] == ["app:1"]
    assert [blobs[name] for name in entry_of_image["Layers"]] == [BASE, TOP]
    (descriptor,) = json.loads(files["index.json"])["manifests"]
    assert descriptor["annotations"]["io.containerd.image.name"] == "docker.io/library/app:1"
    manifest = json.loads(blobs["blobs/" + descriptor["digest"].replace(":", "/")])
    assert "blobs/" + manifest["config"]["digest"].replace(":", "/") == entry_of_image["Config"]
    assert blobs[entry_of_image["Config"]] == config(BASE, TOP)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="this host has no skopeo")
def test_other_tools_read_what_we_save(images: ImageStore, tmp_path: Path) -> None:
    """skopeo reads both halves of the archive, and copies the image out of it."""
    load(images, docker_archive(BASE, TOP))
    saved = tmp_path / "saved.tar"
    saved.write_bytes(b"".join(images.save(["app:1"])))
    shown = subprocess.run(
        ["skopeo", "inspect", "--config", f"docker-archive:{saved}:app:1"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(shown.stdout)["rootfs"]["diff_ids"] == [digest(BASE), digest(TOP)]
    shown = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci-archive:{saved}"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(shown.stdout)["config"]["digest"] == digest(config(BASE, TOP))


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


# -- import and bootstrap --------------------------------------------------------------------


def test_import(images: ImageStore) -> None:
    """One layer from a compressed tree; instructions and a message go into the image."""
    lines = list(
        images.import_archive(
            io.BytesIO(gzip.compress(BASE)),
            reference="made:1",
            message="by hand",
            changes=["CMD true", "EXPOSE 80"],
            platform="linux/arm64",
        )
    )
    image = images.resolve("made:1")
    assert [each.status for each in lines] == [image.id]
    assert (image.comment, image.architecture) == ("by hand", "arm64")
    assert image.config.command == ("/bin/sh", "-c", "true")
    assert [str(port) for port in image.config.exposed_ports] == ["80/tcp"]
    assert [each.diff_id for each in image.layers] == [digest(BASE)]


def test_import_refuses_before_it_reads(images: ImageStore) -> None:
    """A wrong name, instruction or platform needs no byte of the tree."""
    unread = io.BytesIO(BASE)
    with pytest.raises(InvalidReference):
        images.import_archive(unread, reference="Upper")
    with pytest.raises(InvalidValue):
        images.import_archive(unread, changes=["RUN true"])
    with pytest.raises(WherryError):
        images.import_archive(unread, platform="windows/amd64")
    assert unread.tell() == 0


def test_import_of_rubbish_leaves_nothing(images: ImageStore, data_root: Path) -> None:
    """A tree that isn't one is refused whole."""
    for rubbish in (b"rubbish" * 100, gzip.compress(BASE)[:-10], archive(member("../x"))):
        with pytest.raises(ArchiveRefused):
            list(images.import_archive(io.BytesIO(rubbish), reference="made:1"))
    assert on_disk(data_root) == []


def test_bootstrap_of_busybox_is_deterministic(images: ImageStore, snapshots: Snapshots) -> None:
    """The same program gives the same id; its applets are hard links of one file."""
    list(images.bootstrap("busybox"))
    first = images.resolve("busybox:latest")
    root = Path(snapshots.directory, "1", "diff")
    assert (root / "bin" / "sh").samefile(root / "bin" / "busybox")
    assert first.config.command == ("sh",)
    images.remove("busybox")
    list(images.bootstrap("busybox"))
    assert images.resolve("busybox").id == first.id


def test_bootstrap_of_hello(images: ImageStore, snapshots: Snapshots, data_root: Path) -> None:
    """Its command, run in its own root, prints what just happened."""
    list(images.bootstrap("hello"))
    image = images.resolve("hello")
    root = Path(snapshots.directory, "1", "diff")
    printed = subprocess.run(
        ["chroot", root, *(image.config.command or ())],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    assert "from inside a container" in printed.stdout
    assert os.listdir(data_root / "tmp") == []


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
            patched.setattr(ImageStore, "collect", lambda _self: None)
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
    blob.unlink()
    load(again, docker_archive(BASE))
    assert list(again.damaged) == []
    assert again.resolve("app:1").id == image.id
