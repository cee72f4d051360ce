"""What a shim needs of the runtime, as protocols: `wherry.runtime` is it, a test may be."""

from typing import Protocol

from wherry.operations.plan import Journal
from wherry.runtime.container import CreateRequest
from wherry.runtime.joining import JoinRequest


class Living(Protocol):
    """A process of a container; a child of ours."""

    @property
    def pid(self) -> int:
        """As the host sees it."""
        ...

    @property
    def pidfd(self) -> int:
        """Ours to close."""
        ...


class Joined(Living, Protocol):
    """A process that runs in the container."""

    @property
    def console(self) -> int | None:
        """The master of its terminal, ours to close; None without one."""
        ...


class Parked(Joined, Protocol):
    """A container's first process, parked until `start`."""

    @property
    def journal(self) -> Journal:
        """What was done for it so far."""
        ...

    def start(self) -> None:
        """Let it run its program. Raises: CreateFailed."""
        ...

    def discard(self) -> None:
        """Kill and reap it before `start`; undo what was done for it."""
        ...


class Runtime(Protocol):
    """Makes processes and takes containers apart."""

    def preload(self) -> None:
        """Import and warm up everything that is used after the fork."""
        ...

    def create(self, request: CreateRequest) -> Parked:
        """Raises: CreateFailed."""
        ...

    def enter_pid_namespace(self, init: Living) -> None:
        """Have later children born in init's pid namespace, as `create` does. Raises: OSError."""
        ...

    def join(self, init: Living, cgroups: tuple[str, ...], request: JoinRequest) -> Joined:
        """Run one more process. Raises: CreateFailed."""
        ...

    def destroy(self, journal: Journal) -> list[str]:
        """Kill what is left and remove it; texts of what could not be removed."""
        ...

    def cgroup_directories(self, journal: Journal) -> tuple[str, ...]:
        """The container's cgroups."""
        ...

    def group_parent(self, cgroups: tuple[str, ...]) -> str:
        """The one of a container's cgroups below which its processes can be grouped."""
        ...

    def kill_group(self, cgroup: str) -> None:
        """Kill what is in a cgroup and below, also what forks meanwhile. Raises: OSError."""
        ...

    def freeze(self, cgroups: tuple[str, ...]) -> None:
        """Stop every process. Raises: OSError."""
        ...

    def thaw(self, cgroups: tuple[str, ...]) -> None:
        """Let them go on. Raises: OSError."""
        ...
