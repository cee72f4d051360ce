"""Archives of images: what comes in whole or not at all, and what goes out."""

import gzip
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.image_archives import (
    config,
    digest,
    docker_archive,
    oci_layout,
    with_manifest,
)
from support.loaded_images import BASE, TOP, load, on_disk
from support.tar_archives import archive, directory, hard_link, member, symlink
from wherry.images import ImageArchives, ImageStore
from wherry.model.errors.images import ArchiveRefused, DigestMismatch, ImageNotFound
from wherry.model.ids import SnapshotKey
from wherry.snapshots import Snapshots, TarReader

pytestmark = pytest.mark.kernel


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
    saved = b"".join(ImageArchives(images).save(["app:2"]))
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


def test_save_and_load_are_a_round_trip(images: ImageStore, data_root: Path) -> None:
    """The archive brings back every image and name, and is the same when saved again."""
    load(images, docker_archive(BASE, TOP, tags=("app:1", "reg.example/app:2")))
    load(images, docker_archive(TOP, tags=("other:1",)))
    before = {(each.id, each.references) for each in images.list()}
    saved = b"".join(ImageArchives(images).save(["app", "reg.example/app:2", "other:1"]))
    for each in ("app:1", "reg.example/app:2", "other:1"):
        images.remove(each)
    assert on_disk(data_root) == []
    load(images, saved)
    assert {(each.id, each.references) for each in images.list()} == before
    assert b"".join(ImageArchives(images).save(["app", "reg.example/app:2", "other:1"])) == saved


def test_save_by_id_has_no_name(images: ImageStore) -> None:
    """An id was asked for, so an id is what one gets."""
    load(images, docker_archive(BASE))
    saved = b"".join(ImageArchives(images).save([images.resolve("app:1").id]))
    images.remove("app:1")
    assert load(images, saved) == [f"Loaded image ID: {digest(config(BASE))}\n"]


def test_save_of_what_is_not_there(images: ImageStore) -> None:
    """The refusal comes before the first byte."""
    with pytest.raises(ImageNotFound):
        ImageArchives(images).save(["nothing"])


def test_every_document_of_a_saved_archive_fits(images: ImageStore) -> None:
    """Each blob is what its name says, and both indexes lead to the same configuration."""
    load(images, docker_archive(BASE, TOP))
    files = {}
    reader = TarReader(io.BytesIO(b"".join(ImageArchives(images).save(["app:1"]))))
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
    saved.write_bytes(b"".join(ImageArchives(images).save(["app:1"])))
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
