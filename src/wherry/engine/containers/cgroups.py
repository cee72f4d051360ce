"""Where a running container's cgroups are: as the kernel tells of its first process.

A container may have moved its processes further down (an init that makes cgroups of its own);
the engine's are those down to the directory that has the container's id as its name. Where there
is none in the path, a privileged process has gone elsewhere: what it entered is not the engine's
to change.
"""

from wherry.linux import mountinfo
from wherry.linux.cgroups import CgroupLayout, Hierarchy
from wherry.model.containers import Container


def cgroup_directories(container: Container, layout: CgroupLayout) -> dict[str, str]:
    """The directory that has a controller; "" is that in the version 2 tree.

    Empty when the process has ended.
    """
    found: dict[str, str] = {}
    for names, path in _memberships(container.status.pid):
        hierarchy = _hierarchy_of(names, layout)
        own = _down_to(path, container.id)
        if hierarchy is None or not own:
            continue
        directory = f"{hierarchy.mount_point}{own}"
        if hierarchy.version == 2:
            found[""] = directory
        for each in hierarchy.controllers:
            found.setdefault(each, directory)
    return found


def _memberships(pid: int) -> list[tuple[tuple[str, ...], str]]:
    """Lines of /proc/PID/cgroup: controllers, none in version 2, and the path (cgroups(7))."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return []
    return [
        (tuple(names.split(",")) if names else (), mountinfo.unescape(path))
        for _number, names, path in lines
    ]


def _hierarchy_of(names: tuple[str, ...], layout: CgroupLayout) -> Hierarchy | None:
    if not names:
        return layout.unified
    return next((each for each in layout.legacy if names[0] in each.controllers), None)


def _down_to(path: str, name: str) -> str:
    """The path as far as a directory of this name; empty where there is none."""
    parts = path.split("/")
    return "/".join(parts[: parts.index(name) + 1]) if name in parts else ""
