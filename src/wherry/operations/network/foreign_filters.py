"""Packet filters of others: getting our packets past a policy that drops, where they offer a door.

Every chain on a hook decides for itself, and a drop in any of them is final: a forward chain of
another engine whose policy is to drop stops our packets, however much our own table allows them.
Docker has a chain for rules of others, which it never touches. One rule there accepts what our
table has marked, and the mark is set for nothing that their rules protect.
"""

import os
import shlex
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict

MARK = 0x20000000
"""One bit of the packet's mark; Kubernetes and Docker's overlay use others."""
DOORS = {("filter", "FORWARD"): "DOCKER-USER"}
"""Where the owner of a chain lets others put rules, by table and chain of iptables."""

_PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenForeignDoor(Operation):
    """Have another engine's filter accept what our table has marked."""

    kind: ClassVar[str] = "open-foreign-door"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    family: str
    """`ip` or `ip6`."""
    door: str
    table: str
    """Ours: the rule says whose it is."""

    def do(self, hands: Hands) -> Evidence:
        if not self.is_open():
            self._run("-I")
        return {"door": self.door}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        while self.is_open():
            self._run("-D")

    def check(self, evidence: Evidence) -> Finding:
        verdict = Verdict.STILL_TRUE if self.is_open() else Verdict.GONE
        return Finding(verdict, f"{self.family} filter {self.door}")

    def describe(self) -> str:
        return f"let {self.family} packets that {self.table} has marked pass {self.door}"

    def shell(self) -> str:
        return shlex.join(self._command("-I"))

    def is_open(self) -> bool:
        """Whether the rule is there. Raises: OSError without iptables."""
        return self._exit_code("-C") == 0

    def _run(self, verb: str) -> None:
        code = self._exit_code(verb)
        if code:
            raise OSError(f"{self._command(verb)[0]} ended with code {code}")

    def _exit_code(self, verb: str) -> int:
        command = self._command(verb)
        nothing = [(os.POSIX_SPAWN_OPEN, each, os.devnull, os.O_RDWR, 0) for each in (0, 1, 2)]
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=nothing)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _command(self, verb: str) -> list[str]:
        mark = f"{MARK:#x}/{MARK:#x}"
        ours = ["-m", "comment", "--comment", self.table, "-m", "mark", "--mark", mark]
        return [_PROGRAMS[self.family], "-w", verb, self.door, *ours, "-j", "ACCEPT"]
