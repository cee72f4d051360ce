"""Which programs for other processors the kernel runs, and by what."""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import binfmt_misc
from wherry.linux.binfmt_misc import PLACE
from wherry.linux.mounts import MNT_DETACH, umount2
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict


def registered() -> tuple[binfmt_misc.ProgramFormat, ...]:
    """The formats that the kernel knows now. Raises: OSError."""
    with binfmt_misc.table() as directory:
        return binfmt_misc.formats(directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFormats(Operation):
    """Mount the kernel's table of formats where it belongs: without a mount it is forgotten."""

    kind: ClassVar[str] = "mount-formats"
    aspect: ClassVar[Aspect] = Aspect.MOUNT

    def do(self, hands: Hands) -> Evidence:
        return {"made": binfmt_misc.mount_table()}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if evidence.get("made"):
            umount2(PLACE, MNT_DETACH)

    def check(self, evidence: Evidence) -> Finding:
        there = os.path.exists(f"{PLACE}/register")
        return Finding(Verdict.STILL_TRUE if there else Verdict.GONE, PLACE)

    def describe(self) -> str:
        return "mount the kernel's table of program formats"

    def shell(self) -> str:
        return f"mountpoint -q {PLACE} || mount -t binfmt_misc binfmt_misc {PLACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterFormat(Operation):
    """Have the kernel run programs of a format by an interpreter."""

    kind: ClassVar[str] = "register-format"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    name: str
    rule: str

    def do(self, hands: Hands) -> Evidence:
        with binfmt_misc.table() as directory:
            try:
                binfmt_misc.register(directory, self.rule)
            except FileExistsError:
                return {"made": False}
        return {"made": True}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if evidence.get("made"):
            UnregisterFormat(why=self.why, name=self.name).do(hands)

    def check(self, evidence: Evidence) -> Finding:
        there = any(each.name == self.name and each.is_enabled for each in registered())
        return Finding(Verdict.STILL_TRUE if there else Verdict.GONE, f"{PLACE}/{self.name}")

    def describe(self) -> str:
        return f"have the kernel run programs of the format {self.name}"

    def shell(self) -> str:
        return f"printf %s {shlex.quote(self.rule)} > {PLACE}/register"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnregisterFormat(Operation):
    """Have the kernel refuse programs of a format again; one that is not there is no error."""

    kind: ClassVar[str] = "unregister-format"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    name: str

    def do(self, hands: Hands) -> Evidence:
        with binfmt_misc.table() as directory:
            if any(each.name == self.name for each in binfmt_misc.formats(directory)):
                binfmt_misc.unregister(directory, self.name)
        return {}

    def describe(self) -> str:
        return f"have the kernel refuse programs of the format {self.name}"

    def shell(self) -> str:
        return f"echo -1 > {PLACE}/{shlex.quote(self.name)}"
