"""The spawner: started by the daemon, parent of all shims.

Thin: what is imported here is in the memory of every shim.
"""

import os
import socket

from wherry.linux.mounts import closing
from wherry.linux.process import CLONE_NEWPID, setns
from wherry.operations.plan import Journal
from wherry.runtime import container, joining, signals
from wherry.runtime.container import CreateRequest, InitProcess
from wherry.runtime.joining import JoinedProcess, JoinRequest
from wherry.runtime.preload import preload
from wherry.shim.faces import Living
from wherry.shim.jobs import JOBS
from wherry.shim.spawner import Spawner

__all__ = ["main"]


class OciRuntime:
    """`wherry.runtime` as the shims see it."""

    def preload(self) -> None:
        """Import everything now: later, a name might be looked up inside a container."""
        preload()

    def create(self, request: CreateRequest) -> InitProcess:
        """Raises: CreateFailed."""
        return container.create(request)

    def enter_pid_namespace(self, init: Living) -> None:
        """Raises: OSError."""
        with closing(os.open(f"/proc/{init.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)) as opened:
            setns(opened, CLONE_NEWPID)

    def join(self, init: Living, cgroups: tuple[str, ...], request: JoinRequest) -> JoinedProcess:
        """Raises: CreateFailed."""
        return joining.join(init.pid, init.pidfd, cgroups, request)

    def destroy(self, journal: Journal) -> list[str]:
        """Kill what is left and remove it."""
        return container.destroy(journal)

    def cgroup_directories(self, journal: Journal) -> tuple[str, ...]:
        """The container's cgroups."""
        return container.cgroup_directories(journal)

    def group_parent(self, cgroups: tuple[str, ...]) -> str:
        """The one of a container's cgroups below which its processes can be grouped."""
        return signals.group_parent(cgroups)

    def kill_group(self, cgroup: str) -> None:
        """Raises: OSError."""
        signals.kill_group(cgroup)

    def freeze(self, cgroups: tuple[str, ...]) -> None:
        """Raises: OSError."""
        signals.freeze(cgroups)

    def thaw(self, cgroups: tuple[str, ...]) -> None:
        """Raises: OSError."""
        signals.thaw(cgroups)


def main(channel: int) -> None:
    """Serve the daemon at the other end of a message channel until it closes."""
    Spawner(socket.socket(fileno=channel), OciRuntime(), JOBS).run()
