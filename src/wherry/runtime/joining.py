"""Put one more process into a container that runs (exec)."""

from dataclasses import dataclass

from wherry.oci.runtime_spec import Process
from wherry.operations.plan import Journal


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


class JoinedProcess:
    """A process in the container, running its program; a child of the caller."""

    def __init__(self, *, pid: int, pidfd: int, console: int | None, journal: Journal) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console = console
        self.journal = journal


def join(
    init_pid: int, init_pidfd: int, cgroup_paths: tuple[str, ...], request: JoinRequest
) -> JoinedProcess:
    """Fork a process into the container's cgroups and namespaces and let it execve.

    `cgroup_paths` are directories, from `cgroup_directories(journal)`.
    Raises: CreateFailed (wherry.runtime.container).
    """
    raise NotImplementedError
