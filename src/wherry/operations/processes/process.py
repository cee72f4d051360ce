"""Processes: the fork, the session and its terminal, limits, descriptors, execve, signals."""

import _signal  # type: ignore[import-not-found]  # no stub has it
import errno
import os
import re
import shlex
import signal
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import process as kernel
from wherry.linux import rlimits
from wherry.linux.mounts import closing
from wherry.linux.syscall import KernelError
from wherry.operations.looking import (
    GONE,
    file_finding,
    namespace_inode,
    process_directory,
)
from wherry.operations.plan import (
    Argument,
    Aspect,
    Call,
    Evidence,
    Finding,
    Hands,
    Operation,
    Verdict,
)
from wherry.operations.processes.apparmor import CONFINEMENT
from wherry.operations.processes.terminals import CONSOLE

CHANNEL = "channel"
GATE = "gate"
_KEPT = (CHANNEL, CONSOLE, GATE, CONFINEMENT)
"""A listening socket: whoever connects to it may let a parked process go."""

_SECRET = re.compile(
    r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|AUTH", re.IGNORECASE | re.ASCII
)

MASK = "***"
"""What stands in a journal for a value that is a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Operation):
    """Make the container's process 1: the call returns in both processes.

    The last operation of a plan: what the child goes on with is a plan of its own.
    """

    kind: ClassVar[str] = "fork"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    cgroup: str = ""
    """A version 2 cgroup that the child is born in; empty: the caller's."""

    def do(self, hands: Hands) -> Evidence:
        pid, by = self._fork()
        if pid == 0:
            return {"pid": 0}
        hands.hold("pidfd", os.pidfd_open(pid))
        return {"pid": pid, "by": by}

    def _fork(self) -> tuple[int, str]:
        if self.cgroup:
            directory = os.open(self.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with closing(directory) as cgroup:
                try:
                    return kernel.fork_into_cgroup(cgroup), "clone3"
                except KernelError as error:
                    if error.errno not in (errno.ENOSYS, errno.EINVAL):
                        raise
        pid = os.fork()
        if pid == 0 and self.cgroup:
            _write(f"{self.cgroup}/cgroup.procs", "0")
        return pid, "fork"

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        inode = namespace_inode(directory, "pid")
        return Finding(Verdict.STILL_TRUE, f"process {evidence['pid']}, pid:[{inode}]")

    def describe(self) -> str:
        return f"fork a process{f' into {self.cgroup}' if self.cgroup else ''}"

    def shell(self) -> str:
        # It may be in a pid namespace of its own; the kernel understands its own number for it.
        if not self.cgroup:
            return "# (in a new process)"
        return f"echo $$ > {shlex.quote(self.cgroup)}/cgroup.procs"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        if evidence.get("by") == "clone3":
            return (Call("clone3", ("CLONE_INTO_CGROUP",)),)
        return (Call("clone", ("SIGCHLD",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDumpable(Operation):
    """Say whether other processes may look into this one; execve allows it again."""

    kind: ClassVar[str] = "set-dumpable"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    is_dumpable: bool

    def do(self, hands: Hands) -> Evidence:
        kernel.set_dumpable(dumpable=self.is_dumpable)
        return {}

    def describe(self) -> str:
        if self.is_dumpable:
            return "let others look into the process"
        return "keep others from looking into the process before its execve"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("prctl", ("PR_SET_DUMPABLE",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession(Operation):
    """Lead a session of one's own, away from the engine's."""

    kind: ClassVar[str] = "new-session"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    def do(self, hands: Hands) -> Evidence:
        os.setsid()
        return {}

    def describe(self) -> str:
        return "start a new session"

    def shell(self) -> str:
        return "setsid ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("setsid"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinSessionKeyring(Operation):
    """Leave the session keyring that was inherited for one of this name (session-keyring(7))."""

    kind: ClassVar[str] = "join-session-keyring"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    name: str

    def do(self, hands: Hands) -> Evidence:
        try:
            return {"serial": kernel.join_session_keyring(self.name)}
        except KernelError as error:
            if error.errno != errno.ENOSYS:  # A kernel without keys has none to be found.
                raise
            return {"skipped": True}

    def describe(self) -> str:
        return f"join the session keyring {self.name}"

    def shell(self) -> str:
        return f"keyctl session {self.name} ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("keyctl", ("KEYCTL_JOIN_SESSION_KEYRING",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOomScore(Operation):
    """Say how soon the kernel should kill this process when memory runs out: -1000 to 1000.

    Precondition: /proc is the host's, before any mount of the container.
    """

    kind: ClassVar[str] = "set-oom-score"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    adjustment: int

    def do(self, hands: Hands) -> Evidence:
        _write("/proc/self/oom_score_adj", str(self.adjustment))
        return {}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        return file_finding(f"{directory}/oom_score_adj", str(self.adjustment))

    def describe(self) -> str:
        return f"set oom_score_adj to {self.adjustment}"

    def shell(self) -> str:
        return f"echo {self.adjustment} > /proc/self/oom_score_adj"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("openat", ('"/proc/self/oom_score_adj"', "O_WRONLY")),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRlimit(Operation):
    """Set one resource limit of the calling process; -1 is unlimited."""

    kind: ClassVar[str] = "set-rlimit"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    name: str
    soft: int
    hard: int

    def do(self, hands: Hands) -> Evidence:
        rlimits.prlimit(0, self.name, self.soft, self.hard)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        if process_directory(evidence) is None:
            return GONE
        seen = rlimits.prlimit_of(int(str(evidence["pid"])), self.name)
        expected = tuple(
            -1 if each == rlimits.UNLIMITED else each for each in (self.soft, self.hard)
        )
        same = Verdict.STILL_TRUE if seen == expected else Verdict.CHANGED
        return Finding(same, f"{self.name} {seen[0]}:{seen[1]}")

    def describe(self) -> str:
        return f"limit {self.name.removeprefix('RLIMIT_').lower()} to {self.soft}:{self.hard}"

    def shell(self) -> str:
        option = self.name.removeprefix("RLIMIT_").lower()
        return f"prlimit --pid $$ --{option}={self.soft}:{self.hard}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("prlimit64", (self.name,)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseDescriptors(Operation):
    """Close every descriptor but 0, 1, 2, the channel to the parent, and what goes through it.

    The channel, the gate, the console's master and what takes the profile close at the execve.
    """

    kind: ClassVar[str] = "close-descriptors"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    preserved: int = 0
    """How many after 2 the program gets (`--preserve-fds`, LISTEN_FDS)."""

    def do(self, hands: Hands) -> Evidence:
        kept = {hands.get(name) for name in _KEPT if hands.holds(name)}
        kernel.close_all_but(frozenset({*range(3 + self.preserved), *kept}))
        return {}

    def describe(self) -> str:
        if self.preserved:
            return f"close every descriptor above {2 + self.preserved}"
        return "close every other descriptor"

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        count = len(os.listdir(f"{directory}/fd"))
        return Finding(Verdict.UNKNOWN, f"{count} open now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Execve(Operation):
    """Become the container's program. The environment is exactly this one."""

    kind: ClassVar[str] = "execve"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    program: str
    """The file, as found."""
    args: tuple[str, ...]
    environment: tuple[str, ...]

    def do(self, hands: Hands) -> Evidence:
        values = (each.partition("=") for each in self.environment)
        os.execve(self.program, self.args, {name: value for name, _, value in values if name})
        raise AssertionError("unreachable")

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        with open(f"{directory}/comm", encoding="utf-8", errors="replace") as file:
            return Finding(Verdict.STILL_TRUE, f"process {evidence['pid']}: {file.read().strip()}")

    def describe(self) -> str:
        return f"execute {self.program}"

    def shell(self) -> str:
        return f"exec {' '.join(_quoted(each) for each in (self.program, *self.args[1:]))}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("execve", (f'"{self.program}"',)),)

    def arguments(self) -> dict[str, Argument]:
        return {
            "program": self.program,
            "args": self.args,
            "environment": tuple(masked_variable(each) for each in self.environment),
        }


def masked_variable(variable: str) -> str:
    """`NAME=value`, without the value when the name sounds like a secret."""
    name, equals, _ = variable.partition("=")
    return f"{name}={MASK}" if equals and _SECRET.search(name) else variable


def reset_signals() -> None:
    """Have no signal ignored or blocked: execve keeps both, while it resets handlers by itself.

    Python itself ignores SIGPIPE and SIGXFSZ.
    """
    for number in range(1, signal.NSIG):
        # The function of C: the other one makes an enum member of each answer.
        if _signal.getsignal(number) == _signal.SIG_IGN and number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
    kernel.reset_library_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _write(path: str, value: str) -> None:
    with closing(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as opened:
        os.write(opened, value.encode("ascii"))


def _quoted(word: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", word, re.ASCII)
    return word if plain else "'" + word.replace("'", "'\"'\"'") + "'"
