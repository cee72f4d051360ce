"""One more process in a container that runs (exec): its plans, pure."""

from collections.abc import Iterator

from wherry.linux.cgroups import CgroupLayout
from wherry.oci.runtime_spec import ExecCpuAffinity, Process
from wherry.operations.files.nodes import EnterDirectory
from wherry.operations.plan import Operation, Plan
from wherry.operations.processes.cgroups import EnterCgroups
from wherry.operations.processes.namespaces import JoinContainer
from wherry.operations.processes.process import Fork, NewSession, SetDumpable
from wherry.operations.processes.scheduling import PinToProcessors
from wherry.operations.processes.user_namespaces import RaiseHardLimit
from wherry.runtime.device_plan import terminal_of
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import PlanRefused
from wherry.runtime.privilege_plan import confinement, label_files, oom_score
from wherry.runtime.user_plan import become_its_root

_MOST_PROCESSORS = 8192


def join_parent_plan(cgroup_paths: tuple[str, ...], layout: CgroupLayout) -> Plan:
    """The fork of an exec, into the container's version 2 cgroup when there is one."""
    unified = next((path for path in cgroup_paths if _is_unified(path, layout)), "")
    return (Fork(cgroup=unified, why="exec: one more process of the container"),)


def join_child_plan(
    init_pid: int,
    cgroup_paths: tuple[str, ...],
    machine: Machine,
    process: Process,
    *,
    has_user_namespace: bool = False,
) -> Plan:
    """From a forked process to one in the container's cgroups and namespaces.

    Raises: PlanRefused.
    """
    return tuple(_join_operations(init_pid, cgroup_paths, machine, process, has_user_namespace))


def _join_operations(
    init_pid: int,
    cgroup_paths: tuple[str, ...],
    machine: Machine,
    process: Process,
    has_user_namespace: bool,
) -> Iterator[Operation]:
    layout, affinity = machine.layout, process.exec_cpu_affinity or ExecCpuAffinity()
    yield SetDumpable(is_dumpable=False, why="processes of the container must not look into it")
    yield from confinement(process, machine)
    yield from _pinned(affinity.initial, "process.execCPUAffinity.initial")
    files = tuple(f"{path}/tasks" for path in cgroup_paths if not _is_unified(path, layout))
    if files:
        yield EnterCgroups(files=files, why="exec: the container's limits hold for it too")
    yield from _pinned(affinity.final, "process.execCPUAffinity.final")
    yield NewSession(why="the program leads a session of its own")
    if process.oom_score_adj is not None:
        yield oom_score(process.oom_score_adj)
    yield from label_files(process, machine)
    if has_user_namespace:
        for limit in process.rlimits:
            yield RaiseHardLimit(name=limit.type, hard=limit.hard, why=f"--ulimit, {limit.type}")
    user = ("user",) if has_user_namespace else ()
    yield JoinContainer(
        init_pid=init_pid,
        namespaces=(*user, "cgroup", "ipc", "uts", "net", "mnt"),
        why="exec: inside the container (pid and time follow from the fork)",
    )
    if has_user_namespace:
        yield from become_its_root()
    if process.terminal:
        yield terminal_of(process)
    yield EnterDirectory(path=process.cwd, makes=False, why=f"--workdir or WORKDIR {process.cwd}")


def _pinned(processors: str, why: str) -> Iterator[Operation]:
    if processors:
        yield PinToProcessors(processors=_numbers(processors, why), why=why)


def _numbers(text: str, member: str) -> tuple[int, ...]:
    """The processors of a list such as `0-3,7`. Raises: PlanRefused."""
    numbers: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (not last or last.isdecimal()) and len(part) < 12):
            raise PlanRefused(f"{member}: {text[:64]!r} is not a list of processors")
        numbers.update(range(int(first), min(int(last or first), _MOST_PROCESSORS) + 1))
    return tuple(sorted(numbers))


def _is_unified(cgroup: str, layout: CgroupLayout) -> bool:
    return layout.unified is not None and cgroup.startswith(f"{layout.unified.mount_point}/")
