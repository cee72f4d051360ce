"""Marking a flow, so that the kernel tells which rule decides about its packets.

Tables of our own for as long as somebody looks: one for what the host routes, one for what its
bridges pass on, which the first one does not see.
"""

from ipaddress import ip_address
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import nftables
from wherry.operations.plan import Aspect, Evidence, Hands, Operation

_CHAINS = {"inet": ("prerouting", "output"), "bridge": ("prerouting",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFlow(Operation):
    """Have the kernel trace the packets from a port to an address."""

    kind: ClassVar[str] = "mark-flow"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    table: str
    """Its name is ours; one that a crash has left is replaced."""
    protocol: str
    own_port: int
    address: str

    def do(self, hands: Hands) -> Evidence:
        _run(self._commands())
        return {}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        _run(self._removal())

    def describe(self) -> str:
        return f"trace {self.protocol} packets from port {self.own_port} to {self.address}"

    def _removal(self) -> list[str]:
        return [
            f"{verb} table {each} {self.table}" for each in _CHAINS for verb in ("add", "delete")
        ]

    def _commands(self) -> list[str]:
        family = "ip6" if ":" in self.address else "ip"
        flow = f"{family} daddr {ip_address(self.address)} {self.protocol} sport {self.own_port}"
        lines = self._removal()
        for each, hooks in _CHAINS.items():
            place = f"{each} {self.table}"
            lines.append(f"add table {place}")
            for hook in hooks:
                declared = f"{{ type filter hook {hook} priority -400 ; policy accept ; }}"
                lines.append(f"add chain {place} {hook} {declared}")
                lines.append(f"add rule {place} {hook} {flow} meta nftrace set 1")
        return lines


def _run(commands: list[str]) -> None:
    try:
        nftables.run_ruleset("\n".join(commands) + "\n")
    except nftables.RulesetRefused as refused:
        raise OSError(f"nftables: {refused}") from refused
