"""The last steps of a container's process: descriptors, limits, privileges, execve."""

from collections.abc import Iterator

from wherry.linux.scheduling import DOMAINS, IO_CLASSES, POLICIES, POLICY_FLAGS
from wherry.oci.runtime_spec import Capabilities, Personality, Process
from wherry.operations.plan import Operation, Plan
from wherry.operations.processes.apparmor import ConfineOnExec, OpenConfinement
from wherry.operations.processes.identity import (
    LimitBoundingSet,
    LoadSeccomp,
    SetCapabilities,
    SetGroups,
    SetNoNewPrivileges,
    SetUmask,
    SetUser,
)
from wherry.operations.processes.process import CloseDescriptors, Execve, SetOomScore, SetRlimit
from wherry.operations.processes.scheduling import SetIoPriority, SetPersonality, SetScheduler
from wherry.operations.processes.security_labels import OpenLabel, SetLabel
from wherry.operations.processes.terminals import AttachStdio, AttachTerminal, OwnStdio
from wherry.runtime.accounts import Identity
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import PlanRefused

DEFAULT_UMASK = 0o022
_LOWEST_IO_PRIORITY = 7


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
    personality: Personality | None = None,
    preserved: int = 0,
) -> Plan:
    """Descriptors, limits, then privileges given up for good, of a container's process.

    Without no_new_privs a filter needs CAP_SYS_ADMIN, so it is loaded before capabilities go;
    with it, as late as possible, so that it need not allow what happens here.
    """
    return (
        *_stdio_and_limits(process, identity, terminal=terminal),
        *scheduling(process),
        *_personality(personality),
        *_labels(process),
        *_privileges(process, identity, seccomp_program, machine),
        CloseDescriptors(
            preserved=preserved,
            why="no descriptor of the host may be reachable from the container",
        ),
    )


def check_attributes(process: Process, personality: Personality | None) -> None:
    """Refuse words that the kernel has no number for, before anything is made.

    Raises: PlanRefused.
    """
    tuple(scheduling(process))
    tuple(_personality(personality))


def _stdio_and_limits(
    process: Process, identity: Identity, *, terminal: bool
) -> Iterator[Operation]:
    if terminal:
        yield AttachTerminal(why="--tty")
    else:
        yield AttachStdio(why="the shim reads what the program writes, for logs and attach")
    if identity.uid:
        yield OwnStdio(uid=identity.uid, why="the program may open /dev/stdout and the like anew")
    for limit in process.rlimits:
        option = f"--ulimit {limit.type.removeprefix('RLIMIT_').lower()}={limit.soft}:{limit.hard}"
        yield SetRlimit(name=limit.type, soft=limit.soft, hard=limit.hard, why=option)


def scheduling(process: Process) -> Iterator[Operation]:
    """When the process runs, and when its turn at a disk comes. Raises: PlanRefused."""
    wanted = process.scheduler
    if wanted is not None:
        if wanted.policy not in POLICIES:
            raise PlanRefused(f"process.scheduler: no policy {wanted.policy!r}")
        unknown = [each for each in wanted.flags if each not in POLICY_FLAGS]
        if unknown:
            raise PlanRefused(f"process.scheduler: no flag {unknown[0]!r}")
        yield SetScheduler(
            policy=wanted.policy,
            nice=wanted.nice,
            priority=wanted.priority,
            flags=wanted.flags,
            runtime=wanted.runtime,
            deadline=wanted.deadline,
            period=wanted.period,
            why="process.scheduler",
        )
    priority = process.io_priority
    if priority is not None:
        if priority.class_ not in IO_CLASSES:
            raise PlanRefused(f"process.ioPriority: no class {priority.class_!r}")
        if not 0 <= priority.priority <= _LOWEST_IO_PRIORITY:
            raise PlanRefused(f"process.ioPriority: priority {priority.priority} is not in 0..7")
        yield SetIoPriority(
            io_class=priority.class_, priority=priority.priority, why="process.ioPriority"
        )


def _personality(wanted: Personality | None) -> Iterator[Operation]:
    if wanted is None:
        return
    if wanted.flags:
        raise PlanRefused("linux.personality.flags: not supported by the specification's kernels")
    if wanted.domain not in DOMAINS:
        raise PlanRefused(f"linux.personality: no domain {wanted.domain!r}")
    yield SetPersonality(domain=wanted.domain, why="linux.personality")


def _labels(process: Process) -> Iterator[Operation]:
    if process.selinux_label:
        yield SetLabel(label=process.selinux_label, why="--security-opt label=...")


def _privileges(
    process: Process, identity: Identity, program: bytes, machine: Machine
) -> Iterator[Operation]:
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
    # An ambient capability must be permitted and inheritable (capabilities(7)); as with other
    # runtimes, one that is neither is no reason not to start.
    raisable = set(capabilities.permitted) & set(capabilities.inheritable)
    yield SetCapabilities(
        effective=capabilities.effective,
        permitted=capabilities.permitted,
        inheritable=capabilities.inheritable,
        ambient=tuple(each for each in capabilities.ambient if each in raisable),
        why="the same set; none is effective for a user other than root",
    )
    umask = process.user.umask
    yield SetUmask(
        mask=DEFAULT_UMASK if umask is None else umask, why="default: others may read new files"
    )
    if process.no_new_privileges and program:
        yield seccomp


def execve_operation(
    program: str, args: tuple[str, ...], environment: tuple[str, ...], home: str
) -> Execve:
    """The last step: HOME is added when the image and the user left it out."""
    if not any(each.startswith("HOME=") for each in environment):
        environment = (*environment, f"HOME={home}")
    return Execve(
        program=program, args=args, environment=environment, why="the container's command"
    )


def confinement(
    process: Process, machine: Machine, *, is_later: bool = False
) -> Iterator[Operation]:
    """The security module's profile for the program, asked for while /proc is the host's; with
    `is_later` only what takes it is opened, for `late_confinement` after the hooks.

    Raises: PlanRefused where the host has no AppArmor.
    """
    if process.apparmor_profile:
        if not machine.has_apparmor:
            raise PlanRefused("apparmor: config provided but apparmor not supported")
        if is_later:
            yield OpenConfinement(why="hooks in the container run without the program's profile")
        else:
            yield from late_confinement(process)


def late_confinement(process: Process) -> Iterator[Operation]:
    """The profile itself."""
    if process.apparmor_profile:
        yield ConfineOnExec(
            profile=process.apparmor_profile,
            why="default: wherry-default where there is AppArmor (--security-opt apparmor=...)",
        )


def label_files(process: Process, machine: Machine) -> Iterator[Operation]:
    """Open what takes the labels, while /proc is the host's. Raises: PlanRefused."""
    if process.selinux_label:
        require_selinux(machine)
        yield OpenLabel(why="--security-opt label=...")


def require_selinux(machine: Machine) -> None:
    """Refuse labels that nobody would look at. Raises: PlanRefused."""
    if not machine.has_selinux:
        raise PlanRefused(
            "selinux label is specified in config, but selinux is disabled or not supported"
        )
