"""Small file systems of other kinds on files, for what needs one."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from support.daemon import Engine

SMALLEST_BTRFS = 200 << 20
"""Bytes; mkfs.btrfs refuses less than 109 MiB, and the file is sparse."""


def made_btrfs(image: Path) -> Path:
    """A file with an empty btrfs in it."""
    with image.open("wb") as file:
        file.truncate(SMALLEST_BTRFS)
    subprocess.run(["mkfs.btrfs", "--quiet", str(image)], check=True, capture_output=True)
    return image


@contextmanager
def engine_with(*flags: str, on_btrfs: bool = False) -> Iterator[Engine]:
    """An engine with flags of its own, up, with a busybox image; perhaps with its data root on a
    btrfs, which the tests see, too."""
    with closing(Engine(*flags)) as engine, ExitStack() as mounted:
        if on_btrfs:
            engine.data_root.mkdir()
            image = mounted.enter_context(mounted_btrfs(engine.data_root))
            ran = engine.machine.run("mount", "-o", "loop", str(image), str(engine.data_root))
            assert ran.returncode == 0, ran.stderr
        engine.start()
        engine.bootstrap()
        yield engine


@contextmanager
def mounted_btrfs(place: Path) -> Iterator[Path]:
    """A new btrfs, mounted on an empty directory for a while; the file that it is in."""
    image = made_btrfs(place.with_suffix(".image"))
    try:
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        try:
            yield image
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        image.unlink()
