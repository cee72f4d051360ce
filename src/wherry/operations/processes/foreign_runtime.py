"""A container made by another OCI runtime: one operation, whatever that runtime does inside.

We know what we asked of it, and that `delete` takes all of it back; what it does to the kernel
is its own to tell.
"""

import json
import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux.mounts import closing
from wherry.operations.looking import GONE, process_directory
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict
from wherry.operations.processes.terminals import STDIO

PIDFD = "pidfd"
LOG_NAME = "runtime.log"
PID_NAME = "runtime.pid"
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class RuntimeRefused(Exception):
    """A runtime said no; the text is its own."""


class RuntimeMissing(RuntimeRefused):
    """There is no such program on this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateByRuntime(Operation):
    """Have a runtime make a container from its bundle, up to its parked first process."""

    kind: ClassVar[str] = "create-by-runtime"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    command: tuple[str, ...]
    """The program, its arguments, and `--root` with where it keeps its own state."""
    container_id: str
    bundle: str
    cgroup: str
    console_socket: str = ""

    def do(self, hands: Hands) -> Evidence:
        stdio = tuple(hands.get(name) for name in STDIO if hands.holds(name))
        options = ["--bundle", self.bundle, "--pid-file", f"{self.bundle}/{PID_NAME}"]
        if self.console_socket:
            options += ["--console-socket", self.console_socket]
        run(self.command, self.bundle, ("create", *options, self.container_id), stdio)
        try:
            with open(f"{self.bundle}/{PID_NAME}", encoding="ascii") as file:
                pid = int(file.read())
            hands.hold(PIDFD, os.pidfd_open(pid))
        except (OSError, ValueError):
            self.undo(hands, {})
            raise
        return {"pid": pid}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        """Have the runtime delete it, process and cgroups. None is there: no error."""
        try:
            run(self.command, self.bundle, ("delete", "--force", self.container_id))
        except RuntimeRefused as refused:
            if "does not exist" not in str(refused):
                raise OSError(str(refused)) from refused

    def check(self, evidence: Evidence) -> Finding:
        if process_directory(evidence) is None:
            return GONE
        return Finding(Verdict.STILL_TRUE, f"process {evidence['pid']}")

    def describe(self) -> str:
        return f"have {os.path.basename(self.command[0])} create the container"

    def shell(self) -> str:
        run_it = shlex.join(self.command)
        return (
            f"{run_it} create --bundle {shlex.quote(self.bundle)} {self.container_id}"
            f" && {run_it} start {self.container_id}"
        )


def run(
    command: tuple[str, ...],
    bundle: str,
    verb: tuple[str, ...],
    stdio: tuple[int, ...] = (),
) -> None:
    """Run one verb of a runtime to its end. Raises: RuntimeRefused with its own words; OSError."""
    log = f"{bundle}/{LOG_NAME}"
    logged = ("--log", log, "--log-format", "json") if os.path.isdir(bundle) else ()
    with open(os.devnull, "r+b", buffering=0) as null:
        ends = stdio or (null.fileno(),) * 3
        actions = [(os.POSIX_SPAWN_DUP2, each, number) for number, each in enumerate(ends)]
        # Numbers below 3 among the ends would be overwritten before they are copied: the
        # callers' are above.
        try:
            pid = os.posix_spawnp(
                command[0],
                [*command, *logged, *verb],
                _ENVIRONMENT,
                file_actions=actions,
                setsigmask=(),
            )
        except FileNotFoundError as error:
            name, reason = command[0], "executable file not found in $PATH"
            if "/" in name:
                reason = f"stat {name}: no such file or directory"
            raise RuntimeMissing(f'exec: "{name}": {reason}') from error
    _, status = os.waitpid(pid, 0)
    if status:
        ending = f"exit status {os.waitstatus_to_exitcode(status)}"
        raise RuntimeRefused(_last_words(log) or ending)


def _last_words(log: str) -> str:
    """The last error that a runtime logged; the log begins anew with the next verb."""
    words = ""
    try:
        with closing(os.open(log, os.O_RDONLY | os.O_CLOEXEC)) as opened:
            text = os.read(opened, 1 << 20).decode("utf-8", "replace")
        os.unlink(log)
    except FileNotFoundError:
        return ""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            words = line
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            words = str(entry.get("msg", ""))
    return words
