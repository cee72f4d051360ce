"""What a process may do: user, groups, capabilities, no_new_privs, the system call filter."""

import os
from typing import ClassVar

from wherry.kit import messages
from wherry.kit.values import dataclass
from wherry.linux import capabilities, identity, process, seccomp
from wherry.linux.capabilities import NAMES, NUMBERS
from wherry.linux.sockets import adopted
from wherry.operations.looking import status_finding
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
from wherry.operations.processes.process import CHANNEL

LISTENER = "seccomp-listener"
"""What a child says when it gives its filter's listener away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNoNewPrivileges(Operation):
    """Let no execve gain a privilege from here on."""

    kind: ClassVar[str] = "set-no-new-privileges"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    def do(self, hands: Hands) -> Evidence:
        process.set_no_new_privileges()
        return {}

    def check(self, evidence: Evidence) -> Finding:
        return status_finding(evidence, "NoNewPrivs", "1")

    def describe(self) -> str:
        return "set no_new_privs"

    def shell(self) -> str:
        return "setpriv --no-new-privs -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("prctl", ("PR_SET_NO_NEW_PRIVS",)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitBoundingSet(Operation):
    """Drop every capability from the bounding set except these."""

    kind: ClassVar[str] = "limit-bounding-set"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    kept: tuple[str, ...]
    last: int
    """The highest capability of this kernel: a newer one has no name yet and goes too."""

    def do(self, hands: Hands) -> Evidence:
        for capability in self._dropped():
            capabilities.drop_from_bounding(capability)
        return {"dropped": len(self._dropped())}

    def _dropped(self) -> tuple[int, ...]:
        kept = {NUMBERS[name] for name in self.kept}
        return tuple(each for each in range(self.last + 1) if each not in kept)

    def check(self, evidence: Evidence) -> Finding:
        return status_finding(evidence, "CapBnd", f"{capabilities.mask(self.kept):016x}")

    def describe(self) -> str:
        return f"keep {len(self.kept)} of {self.last + 1} capabilities in the bounding set"

    def shell(self) -> str:
        return f"setpriv --bounding-set {_setpriv_words(self.kept)} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return tuple(
            Call("prctl", ("PR_CAPBSET_DROP", NAMES[each] if each < len(NAMES) else str(each)))
            for each in self._dropped()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetGroups(Operation):
    """Take on supplementary groups, and no others."""

    kind: ClassVar[str] = "set-groups"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    groups: tuple[int, ...]

    def do(self, hands: Hands) -> Evidence:
        identity.setgroups(self.groups)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        return status_finding(evidence, "Groups", " ".join(map(str, sorted(self.groups))))

    def describe(self) -> str:
        shown = ", ".join(map(str, self.groups)) or "none"
        return f"set the supplementary groups to {shown}"

    def shell(self) -> str:
        if not self.groups:
            return "setpriv --clear-groups -- ..."
        return f"setpriv --groups {','.join(map(str, self.groups))} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("setgroups", (str(len(self.groups)),)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUser(Operation):
    """Become a group and a user: real, effective and saved.

    The permitted capabilities are kept over the change, for `SetCapabilities` to cut down.
    """

    kind: ClassVar[str] = "set-user"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    uid: int
    gid: int

    def do(self, hands: Hands) -> Evidence:
        capabilities.keep_over_setuid(keep=True)
        identity.setresgid(self.gid)
        identity.setresuid(self.uid)
        capabilities.keep_over_setuid(keep=False)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        return status_finding(evidence, "Uid", " ".join([str(self.uid)] * 4))

    def describe(self) -> str:
        return f"become user {self.uid}, group {self.gid}"

    def shell(self) -> str:
        return f"setpriv --reuid {self.uid} --regid {self.gid} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("prctl", ("PR_SET_KEEPCAPS", "1")),
            Call("setresgid", (str(self.gid),)),
            Call("setresuid", (str(self.uid),)),
            Call("prctl", ("PR_SET_KEEPCAPS", "0")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCapabilities(Operation):
    """Hold exactly these capabilities."""

    kind: ClassVar[str] = "set-capabilities"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    effective: tuple[str, ...]
    permitted: tuple[str, ...]
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()

    def do(self, hands: Hands) -> Evidence:
        capabilities.capset(
            effective=capabilities.mask(self.effective),
            permitted=capabilities.mask(self.permitted),
            inheritable=capabilities.mask(self.inheritable),
        )
        capabilities.clear_ambient()
        for name in self.ambient:
            capabilities.raise_ambient(NUMBERS[name])
        return {}

    def check(self, evidence: Evidence) -> Finding:
        return status_finding(evidence, "CapInh", f"{capabilities.mask(self.inheritable):016x}")

    def describe(self) -> str:
        return f"hold {len(self.permitted)} capabilities, {len(self.ambient)} ambient"

    def shell(self) -> str:
        return f"# capset: {', '.join(self.permitted) or 'none'}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        ambient = (Call("prctl", ("PR_CAP_AMBIENT_RAISE",)) for _ in self.ambient)
        return (Call("capset"), Call("prctl", ("PR_CAP_AMBIENT_CLEAR_ALL",)), *ambient)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSeccomp(Operation):
    """Put a filter before every system call of the process and its children."""

    kind: ClassVar[str] = "load-seccomp"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    program: bytes = b""
    """As `compile_filter` made it; not kept in journals."""
    size_bytes: int

    def do(self, hands: Hands) -> Evidence:
        listener = seccomp.load_filter(self.program)
        if listener is not None:
            _give_away(listener, hands)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        return status_finding(evidence, "Seccomp", "2")

    def describe(self) -> str:
        return f"load a system call filter of {self.size_bytes // 8} instructions"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("seccomp", ("SECCOMP_SET_MODE_FILTER",)),)

    def arguments(self) -> dict[str, Argument]:
        return {"size_bytes": self.size_bytes}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUmask(Operation):
    """Which permissions new files don't get."""

    kind: ClassVar[str] = "set-umask"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    mask: int
    is_passing: bool = False
    """Whether another mask follows before the program."""

    def do(self, hands: Hands) -> Evidence:
        os.umask(self.mask)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        if self.is_passing:
            return Finding(Verdict.UNKNOWN, "only until the program starts")
        return status_finding(evidence, "Umask", f"{self.mask:04o}")

    def describe(self) -> str:
        return f"set the umask to {self.mask:04o}"

    def shell(self) -> str:
        return f"umask {self.mask:04o}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("umask"),)


def _give_away(listener: int, hands: Hands) -> None:
    """Hand a filter's listener to the parent, which knows the agent."""
    try:
        with adopted(os.dup(hands.get(CHANNEL))) as channel:
            messages.send(channel, {"at": LISTENER}, (listener,))
    finally:
        os.close(listener)


def _setpriv_words(names: tuple[str, ...]) -> str:
    return ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in names)])
