"""Programs of others that are run around a container's life (config.md, "Hooks").

Each gets the container's state, as JSON, on its standard input. What it writes is read only to
explain a failure. Nobody may wait for it for ever when it has a timeout.
"""

import errno
import os
import select
import signal
from typing import ClassVar

from wherry.kit import messages
from wherry.kit.values import dataclass
from wherry.linux.mounts import closing
from wherry.linux.sockets import adopted
from wherry.operations.plan import Argument, Aspect, Call, Evidence, Hands, Operation
from wherry.operations.processes.process import CHANNEL, masked_variable

CREATE_RUNTIME = "create-runtime"
"""What a child says when the hooks of the runtime's own namespaces are due."""
GO_ON = b"\1"

_SHOWN_BYTES = 4096
_LONGEST_POLL_MS = (1 << 31) - 1
"""poll(2) takes an int: 24 days are as good as for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHook(Operation):
    """Run a hook in the caller's namespaces, and wait for its end."""

    kind: ClassVar[str] = "run-hook"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    moment: str
    """`prestart`, `createRuntime`, ..."""
    path: str
    args: tuple[str, ...]
    env: tuple[str, ...]
    timeout_s: int | None
    state: str
    """JSON, without its last brace: the pid is added here. Not kept in journals."""
    pid: int = 0
    """Of the container's process 1; 0: the caller is it, and /proc is still the host's."""

    def do(self, hands: Hands) -> Evidence:
        pid = self.pid or int(os.readlink("/proc/self"))
        state = f'{self.state},"pid":{pid}}}'
        with (
            closing(_filled(state)) as stdin,
            closing(_filled("")) as stdout,
            closing(_filled("")) as stderr,
        ):
            problem = self._run(stdin, stdout, stderr)
            if problem:
                shown = f"stdout: {_written(stdout)}, stderr: {_written(stderr)}"
                raise OSError(errno.ECANCELED, f"error running hook: {problem}, {shown}")
        return {}

    def _run(self, stdin: int, stdout: int, stderr: int) -> str:
        """What went wrong; empty when nothing did."""
        values = (each.partition("=") for each in self.env)
        actions = [
            (os.POSIX_SPAWN_DUP2, opened, number)
            for number, opened in enumerate((stdin, stdout, stderr))
        ]
        try:
            child = os.posix_spawn(
                self.path,
                self.args or (self.path,),
                {name: value for name, _, value in values if name},
                file_actions=actions,
                setsigmask=(),
            )
        except OSError as error:
            return f"fork/exec {self.path}: {(error.strerror or '').lower()}"
        if not self._has_ended(child):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"no end after {self.timeout_s} s"
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            return ""
        return f"exit status {code}" if code > 0 else f"signal: {signal.strsignal(-code)}"

    def _has_ended(self, child: int) -> bool:
        if self.timeout_s is None:
            return True
        with closing(os.pidfd_open(child)) as pidfd:
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            return bool(poller.poll(min(self.timeout_s * 1000, _LONGEST_POLL_MS)))

    def describe(self) -> str:
        return f"run the {self.moment} hook {self.path}"

    def shell(self) -> str:
        return f"# {self.path} with the container's state on its standard input"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("execve", (f'"{self.path}"',)),)

    def arguments(self) -> dict[str, Argument]:
        return {
            "moment": self.moment,
            "path": self.path,
            "args": self.args,
            "env": tuple(masked_variable(each) for each in self.env),
            "timeout_s": self.timeout_s,
            "state": "",
            "pid": self.pid,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitRuntimeHooks(Operation):
    """Stand still while the parent runs the hooks that belong to the host's namespaces."""

    kind: ClassVar[str] = "await-runtime-hooks"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    def do(self, hands: Hands) -> Evidence:
        with adopted(os.dup(hands.get(CHANNEL))) as channel:
            messages.send(channel, {"at": CREATE_RUNTIME})
            if channel.recv(1) != GO_ON:
                raise OSError(errno.ECANCELED, "a hook of the runtime failed")
        return {}

    def describe(self) -> str:
        return "wait for the runtime's hooks"


def _filled(text: str) -> int:
    """A file without a name, at its beginning; a pipe could fill up."""
    opened = os.memfd_create("hook", os.MFD_CLOEXEC)
    os.write(opened, text.encode("utf-8", "surrogateescape"))
    os.lseek(opened, 0, os.SEEK_SET)
    return opened


def _written(opened: int) -> str:
    return os.pread(opened, _SHOWN_BYTES, 0).decode("utf-8", "replace").strip()
