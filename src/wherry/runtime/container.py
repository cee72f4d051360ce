"""Make a container's first process, release it, and clear away what is left of it."""

from dataclasses import dataclass

from wherry.oci.runtime_spec import RootfsMount, RuntimeSpec
from wherry.operations.plan import Journal


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
    """Descriptors that become 0, 1 and 2. None when the process wants a terminal: it is made
    in the container's own devpts and its master comes back."""


class CreateFailed(Exception):
    """No process was made, and nothing remains of the attempt.

    `kind` is one of command_not_found (a path that is not there), command_not_found_in_path,
    not_executable, user_not_found, step.
    """

    def __init__(self, kind: str, message: str, program: str, journal: Journal) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.program = program
        self.journal = journal


class InitProcess:
    """A container's process 1, parked just before its execve until `start`."""

    def __init__(self, *, pid: int, pidfd: int, console: int | None, journal: Journal) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console = console
        self.journal = journal

    def start(self) -> None:
        """Let it execve; returns once that has happened. Raises: CreateFailed."""
        raise NotImplementedError

    def discard(self) -> None:
        """Kill and reap it before `start`, and undo what was done for it."""
        raise NotImplementedError


def create(request: CreateRequest) -> InitProcess:
    """Make cgroups, namespaces and root, and park the process in them. Raises: CreateFailed."""
    raise NotImplementedError


def destroy(journal: Journal) -> list[str]:
    """After the end of init: kill what is left in the cgroups and remove them.

    Returns the texts of what could not be removed. Doing so twice is no error.
    """
    raise NotImplementedError
