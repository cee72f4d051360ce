"""Make a container's first process, release it, and clear away what is left of it."""

from wherry.kit.values import dataclass
from wherry.linux.seccomp_compiler import compile_filter
from wherry.oci.runtime_spec import RootfsMount, RuntimeSpec
from wherry.operations.plan import Entry, Hands, Journal, Outcome, explain_error, undo
from wherry.operations.processes.cgroups import MakeCgroup
from wherry.operations.processes.process import GATE
from wherry.runtime import signals
from wherry.runtime.attending import Attendant, ContainerFacts, state_json
from wherry.runtime.child import ChildWork
from wherry.runtime.machine import Machine, this_machine
from wherry.runtime.mount_options import PlanRefused
from wherry.runtime.parking import CreateFailed, ParkedProcess, park
from wherry.runtime.plan import child_plan, parent_plan
from wherry.runtime.privilege_plan import check_attributes
from wherry.runtime.subject import Subject

__all__ = [
    "CreateFailed",
    "CreateRequest",
    "InitProcess",
    "assumed_journal",
    "cgroup_directories",
    "create",
    "destroy",
    "facts_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """All that is needed to make a container's init."""

    container_id: str
    bundle: str
    """Directory of this container's own; `rootfs` below it is made for the root mount."""
    spec: RuntimeSpec
    rootfs: RootfsMount | None = None
    """None: `spec.root.path`, relative to the bundle, is bind-mounted."""
    user: str | None = None
    """Docker's USER text, looked up in the container's own passwd and group files after the
    root was changed; None takes the numbers of the spec."""
    group_add: tuple[str, ...] = ()
    seccomp_program: bytes | None = None
    """A BPF program; None compiles the spec's `seccomp`, if there is one; empty is unconfined."""
    init_binary: str = ""
    """Host path of a static init that becomes process 1 and runs the program; empty: none."""
    stdio: tuple[int, int, int] | None = None
    """Descriptors that become 0, 1 and 2; they stay the caller's. None when the process wants
    a terminal: it is made in the container's own devpts and its master comes back."""
    gate: int | None = None
    """A listening SOCK_SEQPACKET socket at which the process waits for `start`, so that it
    outlives the caller; None: it waits for the caller. It stays the caller's."""
    preserved: int = 0
    """How many of the caller's descriptors after 2 the program gets."""
    moves_root: bool = False
    """Whether the root is moved over the old one, where pivot_root(2) can't work (a ramdisk)."""
    has_own_keyring: bool = True
    """Whether it gets a session keyring of its own, so that it finds none of the caller's."""


class InitProcess(ParkedProcess):
    """A container's process 1, parked just before its execve until `start`."""

    def discard(self) -> None:
        """Kill and reap it before `start`, and undo what was done for it."""
        self.end()
        destroy(self.journal)


def create(request: CreateRequest, machine: Machine | None = None) -> InitProcess:
    """Make cgroups, namespaces and root, and park the process in them.

    `machine` is this one unless a caller knows better. The caller becomes a process whose
    later children are born in the container's pid namespace.
    Preconditions: root, one thread.

    Raises: CreateFailed.
    """
    machine, spec, facts = machine or this_machine(), request.spec, facts_of(request)
    try:
        subject = subject_of(request)
        check_attributes(spec.process, spec.linux.personality)
        parent, child = parent_plan(subject, machine), child_plan(subject, machine)
    except (ValueError, OSError) as error:
        raise CreateFailed("step", explain_error(error), "", []) from error
    work = ChildWork(
        plan=child,
        process=request.spec.process,
        user=request.user,
        group_add=request.group_add,
        seccomp_program=subject.seccomp_program,
        has_init=bool(request.init_binary),
        machine=machine,
        personality=spec.linux.personality,
        preserved=request.preserved,
        start_hooks=spec.hooks.start_container,
        state=state_json(facts, "created"),
    )
    held = {} if request.gate is None else {GATE: request.gate}
    attendant = Attendant(facts, spec.hooks, spec.linux.seccomp, status="creating")
    return park(InitProcess, parent, work, request.stdio, held, attendant)


def facts_of(request: CreateRequest) -> ContainerFacts:
    """What others are told of the container."""
    return ContainerFacts(
        container_id=request.container_id,
        bundle=request.bundle,
        annotations=request.spec.annotations,
    )


def subject_of(request: CreateRequest) -> Subject:
    """What plans are made from. Raises: PlanRefused; ValueError; OSError."""
    process = request.spec.process
    if not process.args:
        raise PlanRefused("no command specified")
    if (request.stdio is None) != process.terminal:
        raise PlanRefused("a process has either a terminal or three descriptors")
    program, wanted = request.seccomp_program, request.spec.linux.seccomp
    if program is None:
        program = b"" if wanted is None else compile_filter(wanted)
    return Subject(
        container_id=request.container_id,
        bundle=request.bundle,
        spec=request.spec,
        rootfs=request.rootfs,
        init_binary=request.init_binary,
        seccomp_program=program,
        makes_terminal=process.terminal,
        moves_root=request.moves_root,
        has_own_keyring=request.has_own_keyring,
    )


def destroy(journal: Journal) -> list[str]:
    """After the end of init: kill what is left in the cgroups and remove them.

    Returns the texts of what could not be removed. Doing so twice is no error.
    """
    problems = []
    try:
        signals.kill_all(cgroup_directories(journal))
    except OSError as error:
        problems.append(f"kill what is left: {explain_error(error)}")
    return problems + undo(journal, Hands())


def assumed_journal(directories: tuple[str, ...]) -> Journal:
    """For want of a journal that was kept: that these cgroups were made."""
    return [
        Entry(
            operation=MakeCgroup(path=each, why="it may have been made"),
            at_ns=0,
            duration_ns=0,
            outcome=Outcome.DONE,
        )
        for each in directories
    ]


def cgroup_directories(journal: Journal) -> tuple[str, ...]:
    """The container's own cgroups, of a journal of `create`."""
    return tuple(
        entry.operation.path
        for entry in journal
        if isinstance(entry.operation, MakeCgroup) and entry.outcome is Outcome.DONE
    )
