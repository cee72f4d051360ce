"""Images that are made here: of a tree in a tar, and of the host's own parts."""

import gzip
import io
import os
import subprocess
from pathlib import Path

import pytest

from support.image_archives import digest
from support.loaded_images import BASE, on_disk
from support.tar_archives import archive, member
from wherry.images import ImageMaker, ImageStore
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.errors.images import ArchiveRefused, InvalidReference
from wherry.snapshots import Snapshots

pytestmark = pytest.mark.kernel


@pytest.fixture
def maker(images: ImageStore, snapshots: Snapshots) -> ImageMaker:
    """Who makes images in an empty store."""
    return ImageMaker(images, snapshots)


def test_import(images: ImageStore, maker: ImageMaker) -> None:
    """One layer from a compressed tree; instructions and a message go into the image."""
    lines = list(
        maker.import_archive(
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


def test_import_refuses_before_it_reads(maker: ImageMaker) -> None:
    """A wrong name, instruction or platform needs no byte of the tree."""
    unread = io.BytesIO(BASE)
    with pytest.raises(InvalidReference):
        maker.import_archive(unread, reference="Upper")
    with pytest.raises(InvalidValue):
        maker.import_archive(unread, changes=["RUN true"])
    with pytest.raises(WherryError):
        maker.import_archive(unread, platform="windows/amd64")
    assert unread.tell() == 0


def test_import_of_rubbish_leaves_nothing(maker: ImageMaker, data_root: Path) -> None:
    """A tree that isn't one is refused whole."""
    for rubbish in (b"rubbish" * 100, gzip.compress(BASE)[:-10], archive(member("../x"))):
        with pytest.raises(ArchiveRefused):
            list(maker.import_archive(io.BytesIO(rubbish), reference="made:1"))
    assert on_disk(data_root) == []


def test_bootstrap_of_busybox_is_deterministic(
    images: ImageStore, maker: ImageMaker, snapshots: Snapshots
) -> None:
    """The same program gives the same id; its applets are hard links of one file."""
    list(maker.bootstrap("busybox"))
    first = images.resolve("busybox:latest")
    root = Path(snapshots.directory, "1", "diff")
    assert (root / "bin" / "sh").samefile(root / "bin" / "busybox")
    assert first.config.command == ("sh",)
    images.remove("busybox")
    list(maker.bootstrap("busybox"))
    assert images.resolve("busybox").id == first.id


def test_bootstrap_of_hello(
    images: ImageStore, maker: ImageMaker, snapshots: Snapshots, data_root: Path
) -> None:
    """Its command, run in its own root, prints what just happened."""
    list(maker.bootstrap("hello"))
    image = images.resolve("hello")
    root = Path(snapshots.directory, "1", "diff")
    printed = subprocess.run(
        ["chroot", root, *(image.config.command or ())],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    assert "from inside a container" in printed.stdout
    assert os.listdir(data_root / "tmp") == []
