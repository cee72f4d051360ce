"""Which processes of the host belong to a container."""

import os


def processes_of(init_pid: int) -> frozenset[int]:
    """Every process in the pid namespace of a container's init, by its number on the host.

    Read from /proc alone. Processes of nested pid namespaces are found through the cgroup: a
    process belongs when its `pids` or unified cgroup is that of init or below it.
    """
    home = _cgroup(init_pid)
    if home is None:
        return frozenset()
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            place = _cgroup(int(entry))
            if place is not None and (place == home or place.startswith(home + "/")):
                found.add(int(entry))
    return frozenset(found)


def _cgroup(pid: int) -> str | None:
    """The path of a process in the pids hierarchy, or in the unified one (cgroups(7))."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for _number, controllers, path in lines:
        if "pids" in controllers.split(","):
            return path
    for number, _controllers, path in lines:
        if number == "0":
            return path
    return None
