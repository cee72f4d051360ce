"""The label of SELinux: which context the program will run in.

The file is opened while /proc is the host's, and written as late as the privileges go: what is
run before the program must not be bound by its policy.
"""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.operations.looking import GONE, process_directory
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict

LABEL = "label"
_PATH = "/proc/self/attr/exec"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLabel(Operation):
    """Hold the file that takes the label of the next execve."""

    kind: ClassVar[str] = "open-label"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    def do(self, hands: Hands) -> Evidence:
        hands.hold(LABEL, os.open(_PATH, os.O_WRONLY | os.O_CLOEXEC))
        return {}

    def describe(self) -> str:
        return "open what takes the label of the next program"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("openat", (f'"{_PATH}"', "O_WRONLY")),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLabel(Operation):
    """Have the program run in an SELinux context."""

    kind: ClassVar[str] = "set-label"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    label: str

    def do(self, hands: Hands) -> Evidence:
        os.write(hands.get(LABEL), self.label.encode("utf-8"))
        hands.release(LABEL)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        with open(f"{directory}/attr/current", encoding="utf-8", errors="replace") as file:
            seen = file.read().strip("\0\n ")
        return Finding(Verdict.STILL_TRUE if seen == self.label else Verdict.CHANGED, seen)

    def describe(self) -> str:
        return f"run the program with the SELinux label {self.label}"

    def shell(self) -> str:
        return f"runcon {shlex.quote(self.label)} -- ..."
