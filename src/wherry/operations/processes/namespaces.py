"""Namespaces made and joined, and the names of a UTS namespace."""

import os
import shlex
from collections.abc import Mapping
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import process as kernel
from wherry.linux.mounts import closing
from wherry.operations.files.mounts import ROOT
from wherry.operations.looking import (
    GONE,
    namespace_evidence,
    namespace_finding,
    process_directory,
)
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict

FLAGS: Mapping[str, int] = {
    "mnt": kernel.CLONE_NEWNS,
    "uts": kernel.CLONE_NEWUTS,
    "ipc": kernel.CLONE_NEWIPC,
    "net": kernel.CLONE_NEWNET,
    "pid": kernel.CLONE_NEWPID,
    "time": kernel.CLONE_NEWTIME,
    "cgroup": kernel.CLONE_NEWCGROUP,
    "user": kernel.CLONE_NEWUSER,
}
"""By the names of the files in /proc/PID/ns."""

_FLAG_NAMES = {
    name: "CLONE_NEWNS" if name == "mnt" else f"CLONE_NEW{name.upper()}" for name in FLAGS
}
_LONG_OPTIONS = {"mnt": "mount"}
_FOR_CHILDREN = ("pid", "time")
INIT = "init"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unshare(Operation):
    """Leave the namespaces of these kinds for new ones."""

    kind: ClassVar[str] = "unshare"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    namespaces: tuple[str, ...]
    """Names of files in /proc/PID/ns."""

    def do(self, hands: Hands) -> Evidence:
        kernel.unshare(_flags(self.namespaces))
        return namespace_evidence("/proc/self", self.namespaces)

    def check(self, evidence: Evidence) -> Finding:
        return namespace_finding(evidence, self.namespaces)

    def describe(self) -> str:
        plural = "a new namespace" if len(self.namespaces) == 1 else "new namespaces"
        return f"enter {plural}: {', '.join(self.namespaces)}"

    def shell(self) -> str:
        return f"unshare {options_of(self.namespaces)} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("unshare", tuple(_FLAG_NAMES[name] for name in self.namespaces)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnshareForChildren(Operation):
    """Have later children born in new pid and time namespaces; the caller stays where it is."""

    kind: ClassVar[str] = "unshare-for-children"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    namespaces: tuple[str, ...]
    """Of pid and time."""

    def do(self, hands: Hands) -> Evidence:
        kernel.unshare(_flags(self.namespaces))
        return {"caller": os.getpid()}

    def seen_in(self, pid: int) -> Evidence:
        """Evidence for `check`, once the child is there. Raises: OSError."""
        return {"pid": pid, **namespace_evidence(f"/proc/{pid}", self.namespaces)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if evidence.get("caller") == os.getpid():
            come_back(self.namespaces)

    def check(self, evidence: Evidence) -> Finding:
        return namespace_finding(evidence, self.namespaces)

    def describe(self) -> str:
        return f"make new namespaces for the next child: {', '.join(self.namespaces)}"

    def shell(self) -> str:
        return f"unshare {options_of(self.namespaces)} --fork -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("unshare", tuple(_FLAG_NAMES[name] for name in self.namespaces)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimeOffset(Operation):
    """Set a clock of the time namespace that later children are born in.

    Precondition: it is new, and nobody is in it yet (time_namespaces(7)).
    """

    kind: ClassVar[str] = "set-time-offset"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    clock: str
    """`monotonic` or `boottime`."""
    secs: int
    nanosecs: int = 0

    def do(self, hands: Hands) -> Evidence:
        path = "/proc/self/timens_offsets"
        with closing(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as opened:
            os.write(opened, f"{self.clock} {self.secs} {self.nanosecs}\n".encode("ascii"))
        return {}

    def describe(self) -> str:
        return f"set the {self.clock} clock {self.secs}.{self.nanosecs:09d} s ahead"

    def shell(self) -> str:
        return f"unshare --time --{self.clock} {self.secs} --fork -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("openat", ('"/proc/self/timens_offsets"', "O_WRONLY")),)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinNamespace(Operation):
    """Enter a namespace that exists, by its file."""

    kind: ClassVar[str] = "join-namespace"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    namespace: str
    """Name of a file in /proc/PID/ns."""
    path: str

    def do(self, hands: Hands) -> Evidence:
        with closing(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)) as opened:
            kernel.setns(opened, FLAGS[self.namespace])
            return {f"{self.namespace}_ns": os.fstat(opened).st_ino, "caller": os.getpid()}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if self.namespace in _FOR_CHILDREN and evidence.get("caller") == os.getpid():
            come_back((self.namespace,))

    def check(self, evidence: Evidence) -> Finding:
        return namespace_finding(evidence, (self.namespace,))

    def describe(self) -> str:
        return f"join the {self.namespace} namespace {self.path}"

    def shell(self) -> str:
        option = _LONG_OPTIONS.get(self.namespace, self.namespace)
        return f"nsenter --{option}={shlex.quote(self.path)} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("setns", (_FLAG_NAMES[self.namespace],)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinContainer(Operation):
    """Enter the namespaces of a container's process 1, all at once.

    Its pidfd is under the name `init` in Hands: a pid could have been given to another
    process meanwhile. The container's root is left there as `root`.
    """

    kind: ClassVar[str] = "join-container"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    init_pid: int
    namespaces: tuple[str, ...]

    def do(self, hands: Hands) -> Evidence:
        kernel.setns(hands.get(INIT), _flags(self.namespaces))
        # setns(2) has moved root and working directory to the root of the mount namespace.
        hands.hold(ROOT, os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        return {}

    def describe(self) -> str:
        return f"join the namespaces of process {self.init_pid}: {', '.join(self.namespaces)}"

    def shell(self) -> str:
        return f"nsenter --target {self.init_pid} {options_of(self.namespaces)} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("setns", tuple(_FLAG_NAMES[name] for name in self.namespaces)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHostname(Operation):
    """Name the UTS namespace's host."""

    kind: ClassVar[str] = "set-hostname"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    name: str

    def do(self, hands: Hands) -> Evidence:
        kernel.sethostname(self.name)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        # A UTS namespace's names can only be read from inside.
        if process_directory(evidence) is None:
            return GONE
        return Finding(Verdict.UNKNOWN, "only visible from inside")

    def describe(self) -> str:
        return f"set the host name to {self.name}"

    def shell(self) -> str:
        return f"hostname {shlex.quote(self.name)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("sethostname", (f'"{self.name}"',)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDomainname(Operation):
    """Name the UTS namespace's NIS domain."""

    kind: ClassVar[str] = "set-domainname"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    name: str

    def do(self, hands: Hands) -> Evidence:
        kernel.setdomainname(self.name)
        return {}

    def describe(self) -> str:
        return f"set the domain name to {self.name}"

    def shell(self) -> str:
        return f"domainname {shlex.quote(self.name)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("setdomainname", (f'"{self.name}"',)),)


def _flags(names: tuple[str, ...]) -> int:
    flags = 0
    for name in names:
        flags |= FLAGS[name]
    return flags


def options_of(names: tuple[str, ...]) -> str:
    """The options of unshare(1) and nsenter(1) for namespaces."""
    return " ".join(f"--{_LONG_OPTIONS.get(name, name)}" for name in names)


def come_back(names: tuple[str, ...]) -> None:
    """Have children born in the caller's own namespaces again."""
    for name in names:
        with closing(os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)) as own:
            kernel.setns(own, FLAGS[name])
