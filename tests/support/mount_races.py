"""Starts whose mount targets are exchanged for links by somebody else meanwhile (a program).

    python mount_races.py SCENARIO STARTS PROBE

prints a JSON object: how many starts there were, how many were refused, what escaped. It is a
program so that it can be run on a weakened copy of the source too.
"""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.containers import DEFAULT_MOUNTS, Box
from wherry.oci.runtime_spec import Mount
from wherry.runtime.container import InitProcess
from wherry.runtime.preload import preload

NULL_DEVICE = os.makedev(1, 3)


def main(scenario: str, starts: int, probe: str) -> dict[str, Any]:
    """Run a scenario."""
    preload()
    with tempfile.TemporaryDirectory(prefix="wherry-races-") as directory:
        return SCENARIOS[scenario](Path(directory), starts, probe)


class Field:
    """A shared tree, a canary outside of it, and a name that is now a directory, now a link."""

    def __init__(self, top: Path, probe: str, name: str, *, is_file: bool) -> None:
        self.shared, self.canary = top / "shared", top / "canary"
        self.source = top / "source"
        for each in (self.shared, self.canary, self.source, top / "box"):
            each.mkdir()
        (self.canary / "file").write_text("canary")
        aim = self.canary / "file" if is_file else self.canary
        place = self.shared / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if name == "null":
            os.mknod(place, stat.S_IFCHR | 0o666, NULL_DEVICE)
        elif is_file:
            place.write_text("")
        else:
            place.mkdir()
        link = place.with_name(f"{place.name}-link")
        link.symlink_to(aim)
        (self.source / "file").write_text("ours")
        self.box = Box(top / "box", f"r{os.getpid()}")
        self._before = self.picture()
        self._swapper = subprocess.Popen([probe, "swap", str(place), str(link)])

    def picture(self) -> list[tuple[str, int, int, str]]:
        """The canary tree: nothing in it may ever change."""
        found = []
        for directory, names, files in os.walk(self.canary):
            for name in (*names, *files):
                path = os.path.join(directory, name)
                seen = os.lstat(path)
                found.append((path, seen.st_ino, seen.st_mode, str(seen.st_mtime_ns)))
        return sorted(found)

    def starts(
        self, count: int, mounts: tuple[Mount, ...],
        looks: Callable[[InitProcess], list[str]] = lambda _init: [], **options: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """Start containers with these mounts while the name is exchanged."""
        refused, escapes = 0, []
        try:
            for _each in range(count):
                outcome = self.box.runs("sleep", "100", mounts=mounts, meanwhile=looks, **options)
                refused += outcome.failure is not None
                escapes += outcome.notes or []
                escapes += [f"left: {each}" for each in outcome.left]
                if self.picture() != self._before:
                    escapes.append("the canary has changed")
                    break
        finally:
            self._swapper.kill()
            self._swapper.wait()
        return {"starts": count, "refused": refused, "escapes": escapes}


def volume(top: Path, starts: int, probe: str) -> dict[str, Any]:
    """R03: mounts below a volume, whose target another container exchanges."""
    field = Field(top, probe, "x", is_file=False)
    bind = ("rbind", "rprivate")
    mounts = (
        Mount(destination="/vol", source=str(field.shared), options=bind),
        Mount(destination="/vol/x/y", source=str(field.source), options=bind),
        Mount(destination="/vol/x", source=str(field.source), options=bind),
    )
    return field.starts(starts, mounts)


def null(top: Path, starts: int, probe: str) -> dict[str, Any]:
    """R05: the null device of a shared /dev, with which files are masked."""
    field = Field(top, probe, "null", is_file=True)

    def looks(init: InitProcess) -> list[str]:
        seen = os.stat(f"/proc/{init.pid}/root/proc/keys")
        return [] if seen.st_rdev == NULL_DEVICE else ["/proc/keys is not the null device"]

    shared = Mount(destination="/dev", source=str(field.shared), options=("rbind", "rprivate"))
    return field.starts(starts, (shared,), looks)


def console(top: Path, starts: int, probe: str) -> dict[str, Any]:
    """R06: the console of a shared /dev."""
    field = Field(top, probe, "console", is_file=True)

    def looks(init: InitProcess) -> list[str]:
        place = f"/proc/{init.pid}/root/dev/console"
        seen = os.lstat(place)
        is_terminal = os.major(seen.st_rdev) == 136
        return [] if is_terminal or not seen.st_rdev else ["/dev/console is another device"]

    (field.shared / "pts").mkdir()
    (field.shared / "ptmx").symlink_to("pts/ptmx")
    for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("tty", 0)):
        os.mknod(field.shared / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
    terminals = next(each for each in DEFAULT_MOUNTS if each.destination == "/dev/pts")
    shared = Mount(destination="/dev", source=str(field.shared), options=("rbind", "rprivate"))
    return field.starts(starts, (shared, terminals), looks, process={"terminal": True})


def hosts(top: Path, starts: int, probe: str) -> dict[str, Any]:
    """R09: the engine's own files in a shared /etc."""
    field = Field(top, probe, "hosts", is_file=True)
    mounts = (
        Mount(destination="/etc", source=str(field.shared), options=("rbind", "rprivate")),
        Mount(destination="/etc/hosts", source=str(field.source / "file"), options=("bind", "rw")),
    )
    return field.starts(starts, mounts)


SCENARIOS = {"volume": volume, "null": null, "console": console, "hosts": hosts}

if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
