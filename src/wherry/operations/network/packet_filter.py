"""The packet filter: this engine's table, and what it is told of each network.

What leads to ports of containers is told by `port_entries`. Operations find a netfilter socket
under `packet-filter` in `Hands`; the caller keeps one open for ever (`wherry.linux.nftables` says
why).
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import nft_texts, nftables
from wherry.linux.syscall import KernelError
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict

PACKET_FILTER = "packet-filter"
FAMILY = "inet"
ANYWHERE, ADDRESSED = "anywhere", "addressed"
MAPS = tuple(
    f"{protocol}-{scope}"
    for protocol in ("tcp", "tcp6", "udp", "udp6", "sctp", "sctp6")
    for scope in (ANYWHERE, ADDRESSED)
)
"""Names of the maps that every table has: by port alone, or by address and port; IPv6 apart."""
REACHABLE = ("reachable4", "reachable6")
"""Names of the sets of addresses and ports of containers that other hosts reach directly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallTable(Operation):
    """Make this engine's table, or repair its chains in one transaction; elements stay."""

    kind: ClassVar[str] = "install-table"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    table: str
    commands: str
    """nft commands that contain only names that have been validated."""

    def do(self, hands: Hands) -> Evidence:
        try:
            nftables.run_ruleset(self.commands)
        except nftables.RulesetRefused as refused:
            raise OSError(f"nftables: {refused}") from refused
        return {"rules": self.commands.count("\nadd rule ")}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        try:
            nftables.run_ruleset(
                f"add table {FAMILY} {self.table}\ndelete table {FAMILY} {self.table}\n"
            )
        except nftables.RulesetRefused as refused:
            raise OSError(f"nftables: {refused}") from refused

    def check(self, evidence: Evidence) -> Finding:
        with filter_socket(Hands()) as descriptor:
            try:
                count = sum(
                    len(nftables.list_elements(descriptor, self.table, name)) for name in MAPS
                )
            except KernelError as error:
                if nftables.is_missing(error):
                    return Finding(Verdict.GONE, f"no table {FAMILY} {self.table}")
                raise
        return Finding(Verdict.STILL_TRUE, f"{FAMILY} {self.table}, {count} ports")

    def describe(self) -> str:
        return f"install the packet filter's table {FAMILY} {self.table}"

    def shell(self) -> str:
        return f"nft -f - <<'END'\n{self.commands.rstrip()}\nEND"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmitNetwork(Operation):
    """Tell the packet filter of a network: its bridge, its subnets, whom it may talk to."""

    kind: ClassVar[str] = "admit-network"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    table: str
    elements: tuple[tuple[str, str], ...]
    """Name of a set, and an element of it; only names and addresses that were validated."""

    def do(self, hands: Hands) -> Evidence:
        with filter_socket(hands) as descriptor:
            nftables.have_elements(descriptor, self.table, self._packed())
        return {"elements": len(self.elements)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with filter_socket(hands) as descriptor:
            delete_elements(descriptor, self.table, self._packed())

    def describe(self) -> str:
        shown = ", ".join(f"{element} in {name}" for name, element in self.elements)
        return f"admit {shown}"

    def shell(self) -> str:
        commands = "; ".join(
            f"add element {FAMILY} {self.table} {name} {{ {element} }}"
            for name, element in self.elements
        )
        return f"nft {shlex.quote(commands)}"

    def _packed(self) -> tuple[nftables.Element, ...]:
        return tuple(each for name, text in self.elements for each in nft_texts.packed(name, text))


def delete_elements(descriptor: int, table: str, elements: Sequence[nftables.Element]) -> None:
    """Delete entries in one transaction; where some are missing, the others."""
    try:
        nftables.delete_elements(descriptor, table, elements)
    except KernelError as error:
        if not nftables.is_missing(error):
            raise
        present = nftables.those_present(descriptor, table, elements)
        rest = [each for each in elements if each in present]
        nftables.delete_elements(descriptor, table, rest)


@contextmanager
def filter_socket(hands: Hands) -> Iterator[int]:
    """The netfilter socket from the hands; a passing one if need be."""
    if hands.holds(PACKET_FILTER):
        yield hands.get(PACKET_FILTER)
        return
    descriptor = nftables.open_filter_socket()
    try:
        yield descriptor
    finally:
        os.close(descriptor)
