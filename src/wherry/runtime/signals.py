"""Signals to a container's processes, and its freezer.

Single processes are known by pidfd, never by pid, which the kernel may give to another one.
"""

import errno
import os
import select
import signal
import time

from wherry.linux import cgroups

_LONGEST_WAIT_S = 5.0
_KILL_ROUNDS = 1000
_GROUP_ROUNDS = 20


def kill(pidfd: int, signal_number: int) -> bool:
    """Send a signal; False when the process has gone. Raises: OSError."""
    try:
        signal.pidfd_send_signal(pidfd, signal_number)
    except ProcessLookupError:
        return False
    return True


def kill_all(cgroup_paths: tuple[str, ...]) -> None:
    """SIGKILL every process of the container's cgroups, also those that fork meanwhile.

    With `cgroup.kill` in one write (Linux 5.14), which returns before they have ended; else in
    rounds until none is left, frozen processes being thawed, because they die only then.
    Raises: OSError.
    """
    for path in cgroup_paths:
        try:
            _write(f"{path}/cgroup.kill", "1")
        except FileNotFoundError:
            continue
        thaw(cgroup_paths)
        return
    thaw(cgroup_paths)
    for _ in range(_KILL_ROUNDS):
        if not sum(_kill_tree(path) for path in cgroup_paths):
            return
        time.sleep(0.0005)


def group_parent(cgroup_paths: tuple[str, ...]) -> str:
    """The cgroup below which some processes of a container can be put together, to be killed.

    In version 1 the one of `pids`, whose groups cost nothing and need no settings (a new one of
    `cpuset` takes no process before it was given processors); else whichever there is.
    """
    for path in cgroup_paths:
        if os.path.exists(f"{path}/cgroup.kill") or os.path.exists(f"{path}/pids.current"):
            return path
    return cgroup_paths[-1]


def kill_group(cgroup_path: str) -> None:
    """SIGKILL what is in a cgroup and below, in a few rounds: it may fork meanwhile.

    What can't die now, in an uninterruptible sleep or frozen, is not waited for.
    Raises: OSError.
    """
    try:
        _write(f"{cgroup_path}/cgroup.kill", "1")
    except FileNotFoundError:
        for _ in range(_GROUP_ROUNDS):
            if not _kill_tree(cgroup_path):
                return
            time.sleep(0.0005)


def freeze(cgroup_paths: tuple[str, ...]) -> None:
    """Stop every process of the container until `thaw`; all of them, or none.

    Raises: OSError (TimeoutError when one can't be stopped, as in an uninterruptible sleep).
    """
    for freezer in _freezers(cgroup_paths)[:1]:
        is_legacy = freezer.endswith("freezer.state")
        events = f"{os.path.dirname(freezer)}/cgroup.events"
        _write(freezer, "FROZEN" if is_legacy else "1")
        try:
            _wait_for(*((freezer, "FROZEN") if is_legacy else (events, "frozen 1")))
        except OSError:
            thaw(cgroup_paths)
            raise


def thaw(cgroup_paths: tuple[str, ...]) -> None:
    """Let the processes of a frozen container go on. Raises: OSError."""
    for freezer in _freezers(cgroup_paths)[:1]:
        _write(freezer, "THAWED" if freezer.endswith("freezer.state") else "0")


def has_ended(pidfd: int, *, timeout_s: float) -> bool:
    """Wait until a process has ended, at most so long."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(timeout_s * 1000))


def _freezers(cgroup_paths: tuple[str, ...]) -> list[str]:
    """The freezer's file: of version 1 when the controller is there, else of version 2."""
    found = [
        f"{path}/{name}" for name in ("freezer.state", "cgroup.freeze") for path in cgroup_paths
    ]
    return [path for path in found if os.path.exists(path)]


def _kill_tree(path: str) -> int:
    """Kill what is in a cgroup and below; how many processes there were."""
    pids = cgroups.processes(path)
    for pid in pids:
        _kill_member(path, pid)
    return len(pids) + sum(_kill_tree(each) for each in cgroups.children(path))


def _kill_member(cgroup: str, pid: int) -> None:
    """Kill a process if, once it can't be mistaken any more, it is still in the cgroup."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if pid in cgroups.processes(cgroup):
            kill(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)


def _wait_for(path: str, text: str) -> None:
    """Read a file until it has the text. Raises: TimeoutError; OSError."""
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while True:
        with open(path, encoding="ascii") as file:
            if text in file.read():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"{path} does not say {text}")
        time.sleep(0.001)


def _write(path: str, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode("ascii"))
    finally:
        os.close(descriptor)
