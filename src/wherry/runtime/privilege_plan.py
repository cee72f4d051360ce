"""The last steps of a container's process: descriptors, limits, privileges, execve."""

from collections.abc import Iterator

from wherry.oci.runtime_spec import Capabilities, Process
from wherry.operations.apparmor import ConfineOnExec
from wherry.operations.identity import (
    LimitBoundingSet,
    LoadSeccomp,
    SetCapabilities,
    SetGroups,
    SetNoNewPrivileges,
    SetUmask,
    SetUser,
)
from wherry.operations.plan import Operation, Plan
from wherry.operations.process import CloseDescriptors, Execve, SetOomScore, SetRlimit
from wherry.operations.terminals import AttachStdio, AttachTerminal
from wherry.runtime.accounts import Identity
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import PlanRefused

DEFAULT_UMASK = 0o022


def oom_score(adjustment: int) -> Operation:
    """The score that the specification asks for."""
    return SetOomScore(
        adjustment=adjustment, why="--oom-score-adj; the engine's own is not inherited"
    )


def last_plan(
    process: Process,
    identity: Identity,
    seccomp_program: bytes,
    machine: Machine,
    *,
    terminal: bool,
) -> Plan:
    """Descriptors, limits, then privileges given up for good, of a container's process.

    Without no_new_privs a filter needs CAP_SYS_ADMIN, so it is loaded before capabilities go;
    with it, as late as possible, so that it need not allow what happens here.
    """
    return tuple(_last_operations(process, identity, seccomp_program, machine, terminal))


def _last_operations(
    process: Process, identity: Identity, program: bytes, machine: Machine, terminal: bool
) -> Iterator[Operation]:
    if terminal:
        yield AttachTerminal(why="--tty")
    else:
        yield AttachStdio(why="the shim reads what the program writes, for logs and attach")
    for limit in process.rlimits:
        option = f"--ulimit {limit.type.removeprefix('RLIMIT_').lower()}={limit.soft}:{limit.hard}"
        yield SetRlimit(name=limit.type, soft=limit.soft, hard=limit.hard, why=option)
    seccomp = LoadSeccomp(
        program=program,
        size_bytes=len(program),
        why="default: only the system calls that containers need (--security-opt seccomp=...)",
    )
    if process.no_new_privileges:
        yield SetNoNewPrivileges(why="--security-opt no-new-privileges")
    elif program:
        yield seccomp
    capabilities = process.capabilities or Capabilities()
    yield LimitBoundingSet(
        kept=capabilities.bounding,
        last=machine.last_capability,
        why="default: 14 capabilities (--cap-add, --cap-drop, --privileged)",
    )
    yield SetGroups(groups=identity.groups, why="the user's groups in the image, and --group-add")
    yield SetUser(
        uid=identity.uid, gid=identity.gid, why="--user or USER; root of the container otherwise"
    )
    yield SetCapabilities(
        effective=capabilities.effective,
        permitted=capabilities.permitted,
        inheritable=capabilities.inheritable,
        ambient=capabilities.ambient,
        why="the same set; none is effective for a user other than root",
    )
    umask = process.user.umask
    yield SetUmask(
        mask=DEFAULT_UMASK if umask is None else umask, why="default: others may read new files"
    )
    if process.no_new_privileges and program:
        yield seccomp
    yield CloseDescriptors(why="no descriptor of the host may be reachable from the container")


def execve_operation(
    program: str, args: tuple[str, ...], environment: tuple[str, ...], home: str
) -> Execve:
    """The last step: HOME is added when the image and the user left it out."""
    if not any(each.startswith("HOME=") for each in environment):
        environment = (*environment, f"HOME={home}")
    return Execve(
        program=program, args=args, environment=environment, why="the container's command"
    )


def confinement(process: Process) -> Iterator[Operation]:
    """The security module's profile for the program, asked for while /proc is the host's."""
    if process.apparmor_profile:
        yield ConfineOnExec(
            profile=process.apparmor_profile,
            why="default: wherry-default where there is AppArmor (--security-opt apparmor=...)",
        )


def refuse_labels(process: Process) -> None:
    """A label that is not set must not be promised. Raises: PlanRefused."""
    if process.selinux_label:
        raise PlanRefused("SELinux labels are not supported")
