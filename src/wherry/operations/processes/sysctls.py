"""Kernel parameters, by /proc/sys."""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import mounts as kernel
from wherry.linux.files import open_beneath
from wherry.linux.mounts import closing
from wherry.operations.files.mounts import new_filesystem_calls
from wherry.operations.looking import file_finding, namespace_inode
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict

PROC = "proc"


def parameter_path(name: str) -> str:
    """`net.ipv4.ip_forward` as a path below /proc/sys.

    As sysctl(8) has it: when the first separator is a slash, slashes separate and dots are
    part of names (`net/ipv4/conf/eth0.5/forwarding`); else dots separate.

    Raises: ValueError for what can't be a parameter.
    """
    first = next((letter for letter in name if letter in "./"), ".")
    parts = name.split(first)
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(f"not a kernel parameter: {name!r}")
    swapped = (part.replace("/", ".") if first == "." else part for part in parts)
    return "/".join(swapped)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldProcfs(Operation):
    """Make a private, detached procfs: nothing that a container mounts can cover its files."""

    kind: ClassVar[str] = "hold-procfs"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    def do(self, hands: Hands) -> Evidence:
        hands.hold(PROC, kernel.make_filesystem("proc", (), 0, "proc"))
        return {}

    def describe(self) -> str:
        return "make a private procfs to write kernel parameters through"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return new_filesystem_calls("proc", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSysctl(Operation):
    """Set a kernel parameter of the calling process's namespaces.

    Through the procfs named `proc` in Hands when there is one, else through /proc.
    """

    kind: ClassVar[str] = "set-sysctl"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    name: str
    value: str
    restores: bool = False
    """Whether undo writes the old value back: for parameters that outlive a container."""

    def do(self, hands: Hands) -> Evidence:
        path = f"sys/{parameter_path(self.name)}"
        if hands.holds(PROC):
            return self._write(hands.get(PROC), path)
        with closing(os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as proc:
            return self._write(proc, path)

    def _write(self, proc: int, path: str) -> Evidence:
        before = ""
        if self.restores:
            with closing(open_beneath(proc, path, os.O_RDONLY)) as opened:
                before = os.read(opened, 4096).decode("ascii", "replace").strip()
        with closing(open_beneath(proc, path, os.O_WRONLY)) as opened:
            os.write(opened, self.value.encode("ascii"))
        seen: Evidence = {"before": before} if self.restores else {}
        if path.startswith("sys/net/"):
            seen["net_ns"] = namespace_inode("/proc/thread-self", "net")
        return seen

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if not self.restores or evidence.get("before") in (None, self.value):
            return
        with closing(os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as proc:
            path = f"sys/{parameter_path(self.name)}"
            with closing(open_beneath(proc, path, os.O_WRONLY)) as opened:
                os.write(opened, str(evidence["before"]).encode("ascii"))

    def check(self, evidence: Evidence) -> Finding:
        own = namespace_inode("/proc/thread-self", "net")
        if "pid" in evidence or evidence.get("net_ns") not in (None, own):
            return Finding(Verdict.UNKNOWN, "only visible from inside the namespace")
        return file_finding(f"/proc/sys/{parameter_path(self.name)}", self.value)

    def describe(self) -> str:
        return f"set {self.name} to {self.value}"

    def shell(self) -> str:
        return f"sysctl -w {shlex.quote(f'{self.name}={self.value}')}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("openat2", (f'"sys/{parameter_path(self.name)}"', "O_WRONLY")),)
