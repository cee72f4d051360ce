"""The cgroup file systems: how this machine mounts them, and what their files say.

Three layouts exist. *Unified*: one version 2 tree at /sys/fs/cgroup. *Legacy*: version 1
hierarchies, each with one controller or several, mounted singly. *Hybrid*: legacy, and beside
them a version 2 tree that has no resource controller (or few), which is still worth a
directory for `cgroup.kill` and `cgroup.freeze` (cgroups(7)).
"""

import errno
import os

from wherry.kit.values import dataclass
from wherry.linux import mountinfo
from wherry.linux.mountinfo import MountInfo

ROOT = "/sys/fs/cgroup"

_V1_FLAGS = frozenset(
    {"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """One mounted cgroup tree."""

    version: int
    mount_point: str
    controllers: tuple[str, ...]
    """In version 1 a named hierarchy without controllers has `name=NAME` here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLayout:
    """How the machine mounts its cgroups: version 1 hierarchies, and the version 2 tree."""

    legacy: tuple[Hierarchy, ...] = ()
    unified: Hierarchy | None = None

    @property
    def is_unified(self) -> bool:
        """Whether there is version 2 only."""
        return not self.legacy

    def hierarchies(self) -> tuple[Hierarchy, ...]:
        """All of them, the version 2 tree last."""
        return self.legacy if self.unified is None else (*self.legacy, self.unified)

    def controlling(self, controller: str) -> Hierarchy | None:
        """The hierarchy that has a controller (`memory`), or None."""
        for each in self.hierarchies():
            if controller in each.controllers:
                return each
        return None


def discover(mounts: tuple[MountInfo, ...] | None = None) -> CgroupLayout:
    """Read the layout from the mount table. Raises: OSError."""
    legacy: list[Hierarchy] = []
    unified = None
    seen: set[str] = set()
    for each in mountinfo.read() if mounts is None else mounts:
        if each.kind not in ("cgroup", "cgroup2") or each.device in seen:
            continue
        seen.add(each.device)
        if each.kind == "cgroup2":
            if not os.path.exists(f"{each.mount_point}/cgroup.controllers"):
                continue  # Something else has been mounted over it.
            unified = Hierarchy(
                version=2,
                mount_point=each.mount_point,
                controllers=_words(f"{each.mount_point}/cgroup.controllers"),
            )
        else:
            legacy.append(
                Hierarchy(
                    version=1,
                    mount_point=each.mount_point,
                    controllers=tuple(
                        word
                        for word in each.super_options
                        if word not in _V1_FLAGS and not word.startswith("release_agent=")
                    ),
                )
            )
    return CgroupLayout(legacy=tuple(legacy), unified=unified)


def processes(directory: str) -> tuple[int, ...]:
    """The pids in a cgroup itself (not below it), as this pid namespace sees them.

    Empty when the cgroup is gone. Raises: OSError.
    """
    try:
        return tuple(int(word) for word in _words(f"{directory}/cgroup.procs"))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return ()
        raise


def unified_directory(pid: int, unified: Hierarchy) -> str:
    """Where a process is in the version 2 tree. Raises: OSError."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        path = next(line[3:] for line in file.read().splitlines() if line.startswith("0::"))
    return f"{unified.mount_point}{path.rstrip('/')}"


def children(directory: str) -> tuple[str, ...]:
    """The paths of the cgroups directly below one. Empty when it is gone."""
    try:
        with os.scandir(directory) as entries:
            return tuple(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return ()


def read_text(directory: str, file: str) -> str:
    """The content of one file without its last newline. Raises: OSError."""
    with open(f"{directory}/{file}", encoding="ascii") as stream:
        return stream.read().strip()


def read_number(directory: str, file: str) -> int | None:
    """A counter or limit; None for `max` (no limit). Raises: OSError; ValueError."""
    text = read_text(directory, file)
    return None if text == "max" else int(text)


def read_counters(directory: str, file: str) -> dict[str, int]:
    """A file of `name value` lines, such as memory.stat. Raises: OSError; ValueError."""
    lines = (line.split() for line in read_text(directory, file).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2}


def oom_kills(memory_directory: str) -> int:
    """How often the kernel killed a process of this cgroup for want of memory.

    `memory.events` in version 2, `memory.oom_control` (Linux 4.13) in version 1.

    Raises: OSError when the cgroup is gone.
    """
    unified = os.path.exists(f"{memory_directory}/memory.events")
    counters = read_counters(
        memory_directory, "memory.events" if unified else "memory.oom_control"
    )
    return counters.get("oom_kill", 0)


def _words(path: str) -> tuple[str, ...]:
    with open(path, encoding="ascii") as file:
        return tuple(file.read().split())
