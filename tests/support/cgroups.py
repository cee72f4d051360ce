"""What the kernel keeps for the cgroups of a process."""

from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")


def directory_of(pid: int, controller: str) -> Path:
    """The version 1 directory of a process for a controller; skips where there is none."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return ROOT / controller / path.lstrip("/")
    pytest.skip("this host mounts cgroup v2")


def setting_of(pid: int, controller: str, name: str) -> str:
    """What a file of the process's cgroup says."""
    return (directory_of(pid, controller) / name).read_text().strip()


def directories_of(pid: int) -> list[Path]:
    """The directories of a process, in every hierarchy."""
    found = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        name = controllers.removeprefix("name=") or "unified"
        found.append(ROOT / name / path.lstrip("/"))
    return found
