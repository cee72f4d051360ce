"""Changes of a running container's limits: each remembers what was there before.

A start writes into cgroups that are removed when it fails; a change must put back what it found.
"""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import cgroups
from wherry.operations.looking import file_finding
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Journal, Operation
from wherry.operations.processes.cgroups import WriteCgroupFile
from wherry.operations.processes.process import Fork
from wherry.operations.processes.user_namespaces import ForkInUserNamespace


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCgroupFile(Operation):
    """Write another value to a limit of a cgroup that has processes in it."""

    kind: ClassVar[str] = "change-cgroup-file"
    aspect: ClassVar[Aspect] = Aspect.CGROUP

    path: str
    value: str
    """In a file with a line for each device (`254:0 1048576`) only that line changes."""

    def do(self, hands: Hands) -> Evidence:
        before = cgroups.read_text(*os.path.split(self.path))
        write_value(self.path, self.value)
        seen = cgroups.read_text(*os.path.split(self.path))
        return {"path": self.path, "before": before, "seen": seen}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        try:
            write_value(self.path, self._former_value(str(evidence["before"])))
        except FileNotFoundError:
            return

    def _former_value(self, before: str) -> str:
        """What to write so that the file says again what it said: of many lines, our device's."""
        device = _device_of(self.value)
        if not device:
            return before
        for line in before.splitlines():
            if line.startswith(f"{device} "):
                return line
        return f"{device} {_no_limit(os.path.basename(self.path), self.value)}"

    def check(self, evidence: Evidence) -> Finding:
        return file_finding(self.path, str(evidence["seen"]))

    def describe(self) -> str:
        return f"set {os.path.basename(self.path)} to {self.value}"

    def shell(self) -> str:
        return f"echo {shlex.quote(self.value)} > {shlex.quote(self.path)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("openat", (f'"{self.path}"', "O_WRONLY")),)


def write_value(path: str, value: str) -> None:
    """Write to a file of a cgroup, in one system call. Raises: OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode("ascii"))
    finally:
        os.close(descriptor)


def with_changes(journal: Journal, changes: Journal) -> Journal:
    """The journal of a start, as if the changes since had been its limits.

    What a change replaced is left out. The changes stand before the container's process was
    made: that is where its limits are in any story of how it came to be.
    """
    replaced = {_path_of(each.operation) for each in changes} - {""}
    kept = [each for each in journal if _path_of(each.operation) not in replaced]
    place = next(
        (
            at
            for at, each in enumerate(kept)
            if isinstance(each.operation, Fork | ForkInUserNamespace)
        ),
        None,
    )
    at = len(kept) if place is None else place
    return [*kept[:at], *latest(changes), *kept[at:]]


def latest(changes: Journal) -> Journal:
    """Of several changes of one file, the last."""
    return list({_path_of(each.operation): each for each in changes}.values())


def _path_of(operation: Operation) -> str:
    """The file that an operation writes, and the device where each has a line of it."""
    if not isinstance(operation, WriteCgroupFile | ChangeCgroupFile):
        return ""
    return f"{operation.path} {_device_of(operation.value)}".rstrip()


def _device_of(value: str) -> str:
    """The numbers that a line begins with; empty for a value of the whole file."""
    device, blank, _ = value.partition(" ")
    return device if blank and ":" in device else ""


def _no_limit(file: str, value: str) -> str:
    """How a device's line is taken away again (cgroup-v2.rst, "IO Interface Files")."""
    if file == "io.max":
        words = (each.partition("=")[0] for each in value.split(" ")[1:])
        return " ".join(f"{word}=max" for word in words)
    return "default" if file.startswith("io.") else "0"
