"""Small file systems of other kinds on files, for what needs one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from support.daemon import Engine

SMALLEST_BTRFS = 200 << 20
"""Bytes; mkfs.btrfs refuses less than 109 MiB, and the file is sparse."""
HAS_PROJECTS = os.path.exists("/proc/fs/xfs/xqmstat")
"""Whether this kernel's xfs counts by project: Debian's does (tests/vm)."""
_MAKING = {
    "btrfs": (SMALLEST_BTRFS, ("mkfs.btrfs", "--quiet"), ()),
    "xfs": (512 << 20, ("mkfs.xfs", "-q"), ("-o", "pquota")),
}
"""The size in bytes of each kind, what makes it, and how it is mounted."""


def made_btrfs(image: Path) -> Path:
    """A file with an empty btrfs in it."""
    return _made("btrfs", image)


def _made(kind: str, image: Path) -> Path:
    size_bytes, making, _flags = _MAKING[kind]
    with image.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run([*making, str(image)], check=True, capture_output=True)
    return image


@contextmanager
def engine_with(*flags: str, on: str = "") -> Iterator[Engine]:
    """An engine with flags of its own, up, with a busybox image; perhaps with its data root on a
    btrfs or an xfs, which the tests see, too."""
    with closing(Engine(*flags)) as engine, ExitStack() as mounted:
        if on:
            engine.data_root.mkdir()
            image = mounted.enter_context(mounted_anew(on, engine.data_root))
            places = (*_MAKING[on][2], str(image), str(engine.data_root))
            ran = engine.machine.run("mount", "-o", "loop", *places)
            assert ran.returncode == 0, ran.stderr
        engine.start()
        engine.bootstrap()
        yield engine


@contextmanager
def mounted_anew(kind: str, place: Path) -> Iterator[Path]:
    """A new file system, mounted on an empty directory for a while; the file that it is in."""
    image = _made(kind, place.with_suffix(".image"))
    try:
        flags = _MAKING[kind][2]
        subprocess.run(["mount", "-o", "loop", *flags, str(image), str(place)], check=True)
        try:
            yield image
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        image.unlink()
