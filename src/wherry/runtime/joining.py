"""Put one more process into a container that runs (exec)."""

from wherry.kit.values import dataclass
from wherry.linux.cgroups import Hierarchy, read_text, unified_directory
from wherry.oci.runtime_spec import Personality, Process
from wherry.operations.looking import namespace_inode
from wherry.operations.plan import Journal, explain_error
from wherry.operations.processes.namespaces import INIT
from wherry.runtime.attending import Attendant
from wherry.runtime.child import ChildWork
from wherry.runtime.join_plan import join_child_plan, join_parent_plan
from wherry.runtime.machine import Machine, this_machine
from wherry.runtime.mount_options import PlanRefused
from wherry.runtime.parking import CreateFailed, ParkedProcess, park
from wherry.runtime.privilege_plan import check_attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """All that is needed to run one more process."""

    process: Process
    user: str | None = None
    """As in `CreateRequest`: looked up inside the container."""
    group_add: tuple[str, ...] = ()
    seccomp_program: bytes = b""
    """A BPF program; empty: unconfined (`--privileged`)."""
    stdio: tuple[int, int, int] | None = None
    """None when `process.terminal`: a pty of the container's devpts is made."""
    personality: Personality | None = None
    preserved: int = 0
    """As in `CreateRequest`."""
    attendant: Attendant | None = None
    """Needed by a filter that asks an agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedProcess:
    """A process in the container, running its program; a child of the caller."""

    pid: int
    """As the host sees it."""
    pidfd: int
    """The caller's to close."""
    console: int | None
    """The terminal's master, the caller's to close."""
    journal: Journal


def join(
    init_pid: int,
    init_pidfd: int,
    cgroup_paths: tuple[str, ...],
    request: JoinRequest,
    machine: Machine | None = None,
) -> JoinedProcess:
    """Fork a process into the container's cgroups and namespaces and let it execve.

    `cgroup_paths` are directories, from `cgroup_directories(journal)`.
    Preconditions: as of `create`, which this process has called: its children are born in the
    container's pid namespace.

    Raises: CreateFailed.
    """
    machine, process = machine or this_machine(), request.process
    try:
        cgroup_paths = tuple(
            habitable(each, init_pid, machine.layout.unified) for each in cgroup_paths
        )
        if not process.args:
            raise PlanRefused("no command specified")
        if (request.stdio is None) != process.terminal:
            raise PlanRefused("a process has either a terminal or three descriptors")
        check_attributes(process, request.personality)
        plan = join_child_plan(
            init_pid,
            cgroup_paths,
            machine,
            process,
            has_user_namespace=_is_elsewhere(init_pid, "user"),
        )
    except (ValueError, OSError) as error:
        raise CreateFailed("step", explain_error(error), "", []) from error
    work = ChildWork(
        plan=plan,
        process=process,
        user=request.user,
        group_add=request.group_add,
        seccomp_program=request.seccomp_program,
        has_init=False,
        machine=machine,
        personality=request.personality,
        preserved=request.preserved,
    )
    parked = park(
        ParkedProcess,
        join_parent_plan(cgroup_paths, machine.layout),
        work,
        request.stdio,
        {INIT: init_pidfd},
        request.attendant,
    )
    parked.start()
    return JoinedProcess(
        pid=parked.pid, pidfd=parked.pidfd, console=parked.console, journal=parked.journal
    )


def habitable(path: str, init_pid: int, unified: Hierarchy | None) -> str:
    """A cgroup that a process may enter: a container's own, or where its init is now.

    One of version 2 that passes controllers on has no processes of its own (cgroups(7), "no
    internal processes"). A container that manages its tree, as systemd does, has moved them to
    one below. Raises: OSError.
    """
    if unified is None or not path.startswith(f"{unified.mount_point}/"):
        return path
    if not read_text(path, "cgroup.subtree_control"):
        return path
    below = unified_directory(init_pid, unified)
    return below if below.startswith(f"{path}/") else path


def _is_elsewhere(pid: int, namespace: str) -> bool:
    """Whether a process is in another namespace of a kind than we are. Raises: OSError."""
    return namespace_inode(f"/proc/{pid}", namespace) != namespace_inode("/proc/self", namespace)
