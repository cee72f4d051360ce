"""Signals to a container's processes, and its freezer. Pids are never used, only pidfds."""


def kill(pidfd: int, signal_number: int) -> bool:
    """Send a signal; False when the process has gone."""
    raise NotImplementedError


def kill_all(cgroup_paths: tuple[str, ...]) -> None:
    """SIGKILL every process of the container's cgroups. Raises: OSError."""
    raise NotImplementedError


def freeze(cgroup_paths: tuple[str, ...]) -> None:
    """Stop every process of the container until `thaw`. Raises: OSError."""
    raise NotImplementedError


def thaw(cgroup_paths: tuple[str, ...]) -> None:
    """Let the processes of a frozen container go on. Raises: OSError."""
    raise NotImplementedError
