"""A stand-in for the runtime: plain child processes, no namespaces, no cgroups, no root.

It keeps the contract of `wherry.shim.faces.Runtime`, so that shim and tasks can be tested where
the real one can't run. `python -m`-like: `main` is a spawner program.
"""

import os
import pty
import select
import shutil
import signal
import socket

from wherry.operations.plan import Journal
from wherry.runtime.container import CreateFailed, CreateRequest
from wherry.runtime.joining import JoinRequest
from wherry.shim.faces import Living
from wherry.shim.spawner import Spawner


class PlainProcess:
    """A forked child, parked on a pipe until `start`."""

    def __init__(self, args: tuple[str, ...], env: tuple[str, ...], stdio: object) -> None:
        self.journal: Journal = []
        self.console: int | None = None
        program = shutil.which(args[0])
        if program is None:
            raise CreateFailed("command_not_found_in_path", "not found", args[0], [])
        slave = -1
        if not isinstance(stdio, tuple):
            self.console, slave = pty.openpty()
            stdio = (slave, slave, slave)
        gate, self._gate = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(gate, stdio, program, args, env)
        os.close(gate)
        if slave >= 0:
            os.close(slave)
        self.pidfd = os.pidfd_open(self.pid)

    def start(self) -> None:
        os.write(self._gate, b"x")
        os.close(self._gate)

    def discard(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _become(
        self,
        gate: int,
        stdio: tuple[int, ...],
        program: str,
        args: tuple[str, ...],
        env: tuple[str, ...],
    ) -> None:
        try:
            if self.console is not None:
                os.login_tty(stdio[0]) if hasattr(os, "login_tty") else _login_tty(stdio[0])
            else:
                for number, descriptor in enumerate(stdio):
                    os.dup2(descriptor, number)
            os.close(self._gate)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            if os.read(gate, 1):
                os.execve(program, args, dict(each.split("=", 1) for each in env))
        finally:
            os._exit(127)


class PlainRuntime:
    """Processes without containers."""

    def preload(self) -> None:
        select.epoll().close()

    def create(self, request: CreateRequest) -> PlainProcess:
        return PlainProcess(request.spec.process.args, request.spec.process.env, request.stdio)

    def enter_pid_namespace(self, init: Living) -> None:
        return

    def join(self, init: Living, cgroups: tuple[str, ...], request: JoinRequest) -> PlainProcess:
        joined = PlainProcess(request.process.args, request.process.env, request.stdio)
        joined.start()
        return joined

    def destroy(self, journal: Journal) -> list[str]:
        return []

    def cgroup_directories(self, journal: Journal) -> tuple[str, ...]:
        return ()

    def group_parent(self, cgroups: tuple[str, ...]) -> str:
        return ""

    def kill_group(self, cgroup: str) -> None:
        return

    def freeze(self, cgroups: tuple[str, ...]) -> None:
        raise OSError("no freezer")

    def thaw(self, cgroups: tuple[str, ...]) -> None:
        raise OSError("no freezer")


def _login_tty(slave: int) -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)


def main(channel: int) -> None:
    """Be a spawner of plain processes."""
    Spawner(socket.socket(fileno=channel), PlainRuntime(), {}).run()
