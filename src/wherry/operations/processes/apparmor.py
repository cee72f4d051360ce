"""AppArmor: a profile loaded into the kernel, and a process put under one."""

from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import apparmor
from wherry.linux.mounts import closing
from wherry.operations.looking import GONE, process_directory
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadAppArmorProfile(Operation):
    """Give the kernel a profile, in place of one of the same name.

    It stays: containers that are confined by it may outlive whoever loaded it.
    """

    kind: ClassVar[str] = "load-apparmor-profile"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    profile: str
    policy: bytes = b""
    """As apparmor_parser compiled it; not kept in journals."""

    def do(self, hands: Hands) -> Evidence:
        apparmor.replace_policy(self.policy)
        return {"size_bytes": len(self.policy)}

    def check(self, evidence: Evidence) -> Finding:
        there = apparmor.is_enabled() and apparmor.is_loaded(self.profile)
        return Finding(Verdict.STILL_TRUE if there else Verdict.GONE, self.profile)

    def describe(self) -> str:
        return f"load the AppArmor profile {self.profile}"

    def shell(self) -> str:
        return f"apparmor_parser --replace --skip-cache < {self.profile}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("write"),)

    def arguments(self) -> dict[str, Argument]:
        return {"profile": self.profile}


CONFINEMENT = "confinement"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConfinement(Operation):
    """Hold the file that takes the profile of the next execve.

    Hooks that run in the container would be put under the profile too, were it written before
    them: a process hands its wish on to its children.
    """

    kind: ClassVar[str] = "open-confinement"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    def do(self, hands: Hands) -> Evidence:
        hands.hold(CONFINEMENT, apparmor.open_on_exec())
        return {}

    def describe(self) -> str:
        return "open what takes the AppArmor profile of the next program"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("openat", ('"attr/exec"', "O_WRONLY")),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfineOnExec(Operation):
    """Put the program, from its execve on, under an AppArmor profile.

    Precondition: /proc is still the host's own, or the file was held while it was. What an
    image shows there could take the write and do nothing (CVE-2019-16884, CVE-2025-52881).
    """

    kind: ClassVar[str] = "confine-on-exec"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    profile: str

    def do(self, hands: Hands) -> Evidence:
        is_held = hands.holds(CONFINEMENT)
        with closing(hands.give(CONFINEMENT) if is_held else apparmor.open_on_exec()) as opened:
            apparmor.change_on_exec(opened, self.profile)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        if process_directory(evidence) is None:
            return GONE
        seen = apparmor.profile_of(str(evidence["pid"]))
        same = seen == self.profile
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, f"AppArmor: {seen}")

    def describe(self) -> str:
        return f"confine the program by the AppArmor profile {self.profile}"

    def shell(self) -> str:
        return f"aa-exec -p {self.profile} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("write", (f"exec {self.profile}",)),)
