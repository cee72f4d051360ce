"""An engine whose data root is a small ext4 of its own: to be filled, broken, and mended."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.daemon import Engine

FULL = "no space left on device"
READ_ONLY = "read-only file system"
SMALL = 64 << 20


class SmallDisk:
    """The file system of one engine's data root."""

    def __init__(self, image: Path, *options: str) -> None:
        self._image = image
        with image.open("wb") as file:
            file.truncate(SMALL)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", *options, str(image)], check=True)
        self.engine = Engine()
        self.engine.data_root.mkdir()
        self.mount()

    def mount(self) -> None:
        """Where the engine looks for its data root."""
        words = ("mount", "-o", "loop,errors=remount-ro", str(self._image))
        mounted = self.engine.machine.run(*words, str(self.engine.data_root))
        assert mounted.returncode == 0, mounted.stderr

    def run(self, script: str) -> str:
        """Run a script where the data root is mounted."""
        return self.engine.machine.run("sh", "-c", f"cd {self.engine.data_root}; {script}").stdout

    def fill(self) -> None:
        """To the last byte: what is kept back for metadata is given out by and by."""
        self.run(
            "sync; mkdir -p fillers; for size in 1M 64k 4k 1k; do"
            " while fallocate -l $size fillers/$(cat /proc/sys/kernel/random/uuid); do :; done;"
            " done 2> /dev/null"
        )

    def use_up_names(self) -> None:
        """To the last inode."""
        self.run(
            "mkdir -p fillers; number=0; while : > fillers/$number; do number=$((number+1)); done"
        )
        assert self.run("stat -f -c %d .").strip() == "0"

    def make_room(self) -> None:
        """What filled it goes."""
        self.run("rm -rf fillers; sync")

    def fail(self) -> None:
        """The file system finds itself damaged and takes nothing more (ext4's own test hook)."""
        self.run("echo broken > /sys/fs/ext4/$(basename $(findmnt -no SOURCE .))/trigger_fs_error")

    def mend(self) -> None:
        """Look through it and mount it again. Preconditions: nobody uses it."""
        self.engine.machine.run("umount", "--lazy", str(self.engine.data_root))
        subprocess.run(["e2fsck", "-fy", str(self._image)], check=False, capture_output=True)
        self.mount()


def can_fail() -> bool:
    """Whether this kernel has the hook (since 5.6, for root)."""
    return any(
        os.path.exists(f"/sys/fs/ext4/{each}/trigger_fs_error")
        for each in os.listdir("/sys/fs/ext4")
    )


@contextlib.contextmanager
def small_disk(place: Path, *options: str, program: Sequence[str] = ()) -> Iterator[SmallDisk]:
    """The engine is started, with busybox in it."""
    disk = SmallDisk(place / "disk", *options)
    try:
        disk.engine.program = program or disk.engine.program
        disk.engine.start()
        disk.engine.bootstrap()
        yield disk
    finally:
        disk.engine.close()
