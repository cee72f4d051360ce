"""Small file systems of other kinds on files, for what needs one."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SMALLEST_BTRFS = 200 << 20
"""Bytes; mkfs.btrfs refuses less than 109 MiB, and the file is sparse."""


def made_btrfs(image: Path) -> Path:
    """A file with an empty btrfs in it."""
    with image.open("wb") as file:
        file.truncate(SMALLEST_BTRFS)
    subprocess.run(["mkfs.btrfs", "--quiet", str(image)], check=True, capture_output=True)
    return image


@contextmanager
def mounted_btrfs() -> Iterator[Path]:
    """Where a new btrfs is mounted for a while; not in pytest's directories, which it renames."""
    place = Path(tempfile.mkdtemp(prefix="wherry-btrfs-"))
    image = made_btrfs(place.with_suffix(".image"))
    try:
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        image.unlink()
        shutil.rmtree(place)
