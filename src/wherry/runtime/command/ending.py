"""kill, delete: signals, and what is left to do when a container has ended."""

import os
import signal
from contextlib import suppress

from wherry.linux import cgroups
from wherry.oci.runtime_spec import RuntimeSpec
from wherry.operations.plan import Hands
from wherry.operations.processes.cgroups import MakeCgroup
from wherry.runtime import signals
from wherry.runtime.attending import run_hooks, state_json
from wherry.runtime.command.arguments import Arguments, UsageError
from wherry.runtime.command.records import (
    CommandFailed,
    NotRunning,
    Record,
    StateDirectory,
    living,
    status_of,
)

_LONGEST_KILL_S = 10.0


def kill_container(state: StateDirectory, arguments: Arguments) -> int:
    """Send a signal to a container's process 1. Raises: CommandFailed; OSError."""
    if not 1 <= len(arguments.operands) <= 2:
        raise UsageError("kill needs a container and at most one signal")
    container_id, *rest = arguments.operands
    number = signal_number(rest[0] if rest else "SIGTERM")
    record = state.read(container_id)
    if arguments.has("all") or (number == signal.SIGKILL and not record.has_pid_namespace):
        _signal_all(record, number)
        return 0
    with living(record) as pidfd:
        if not signals.kill(pidfd, number):
            raise NotRunning
    if number == signal.SIGKILL:
        # A frozen process dies only when it is thawed.
        signals.thaw(record.cgroup_paths)
    return 0


def signal_number(text: str) -> int:
    """The number of `KILL`, `SIGKILL` or `9`. Raises: CommandFailed."""
    if text.isdecimal():
        if int(text) in signal.valid_signals():
            return int(text)
    else:
        name = text.upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        found = getattr(signal, name, None)
        if isinstance(found, signal.Signals):
            return found.value
    raise CommandFailed(f"unknown signal {text!r}")


def _signal_all(record: Record, number: int) -> None:
    if number == signal.SIGKILL:
        signals.kill_all(record.cgroup_paths)
        return
    for pid in {pid for path in record.cgroup_paths for pid in cgroups.processes(path)}:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def delete_container(state: StateDirectory, arguments: Arguments) -> int:
    """Remove a container that has stopped. Raises: CommandFailed; OSError."""
    container_id = arguments.container_id()
    is_forced = arguments.has("force")
    try:
        record = state.read(container_id)
    except CommandFailed:
        if is_forced:
            if os.path.isdir(state.directory(container_id)):
                state.forget(container_id)
            return 0
        raise
    status = status_of(state, record)
    if status not in ("stopped", "created") and not is_forced:
        raise CommandFailed(
            f"cannot delete container {container_id} that is not stopped: {status}"
        )
    if status != "stopped":
        kill_and_wait(record)
    try:
        spec = state.read_spec(container_id)
    except (OSError, ValueError):
        spec = None
    clear_away(state, record, spec)
    return 0


def kill_and_wait(record: Record) -> None:
    """End a container's process 1, if it has not ended. Raises: CommandFailed; OSError."""
    with suppress(NotRunning), living(record) as pidfd:
        signals.kill(pidfd, signal.SIGKILL)
        signals.thaw(record.cgroup_paths)
        if not signals.has_ended(pidfd, timeout_s=_LONGEST_KILL_S):
            raise CommandFailed(f"container init {record.pid} still running")


def clear_away(state: StateDirectory, record: Record, spec: RuntimeSpec | None) -> None:
    """After the end of its process: cgroups, hooks, state. Raises: OSError."""
    signals.kill_all(record.cgroup_paths)
    for path in record.cgroup_paths:
        MakeCgroup(path=path, why="delete").undo(Hands(), {})
    if spec is not None:
        _tell(run_hooks("poststop", spec.hooks.poststop, state_json(record.facts, "stopped"), 0))
    state.forget(record.container_id)


def _tell(problems: list[str]) -> None:
    """A hook that comes too late to stop anything can only be complained of."""
    for each in problems:
        with suppress(OSError):
            os.write(2, f"warning: {each}\n".encode("utf-8", "surrogateescape"))
