"""The packet filter: this engine's table, and the ports that lead into containers.

Operations find a netfilter socket under `packet-filter` in `Hands`; the caller keeps one open
for ever (`wherry.linux.nftables` says why).
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby
from typing import ClassVar

from wherry.kit.values import dataclass, replace
from wherry.linux import conntrack, nft_texts, nftables
from wherry.linux.syscall import KernelError
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict

PACKET_FILTER = "packet-filter"
ANYWHERE, ADDRESSED = "anywhere", "addressed"
MAPS = tuple(
    f"{protocol}-{scope}"
    for protocol in ("tcp", "tcp6", "udp", "udp6", "sctp")
    for scope in (ANYWHERE, ADDRESSED)
)
"""Names of the maps that every table has: by port alone, or by address and port; IPv6 apart."""
REACHABLE = ("reachable4", "reachable6")
"""Names of the sets of addresses and ports of containers that other hosts reach directly."""
ANY_V6 = "::"

_PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_FAMILY = "inet"


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
                f"add table {_FAMILY} {self.table}\ndelete table {_FAMILY} {self.table}\n"
            )
        except nftables.RulesetRefused as refused:
            raise OSError(f"nftables: {refused}") from refused

    def check(self, evidence: Evidence) -> Finding:
        with _filter(Hands()) as descriptor:
            try:
                count = sum(
                    len(nftables.list_elements(descriptor, self.table, name)) for name in MAPS
                )
            except KernelError as error:
                if nftables.is_missing(error):
                    return Finding(Verdict.GONE, f"no table {_FAMILY} {self.table}")
                raise
        return Finding(Verdict.STILL_TRUE, f"{_FAMILY} {self.table}, {count} ports")

    def describe(self) -> str:
        return f"install the packet filter's table {_FAMILY} {self.table}"

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
        with _filter(hands) as descriptor:
            nftables.have_elements(descriptor, self.table, self._packed())
        return {"elements": len(self.elements)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with _filter(hands) as descriptor:
            _delete(descriptor, self.table, self._packed())

    def describe(self) -> str:
        shown = ", ".join(f"{element} in {name}" for name, element in self.elements)
        return f"admit {shown}"

    def shell(self) -> str:
        commands = "; ".join(
            f"add element {_FAMILY} {self.table} {name} {{ {element} }}"
            for name, element in self.elements
        )
        return f"nft {shlex.quote(commands)}"

    def _packed(self) -> tuple[nftables.Element, ...]:
        return tuple(each for name, text in self.elements for each in nft_texts.packed(name, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPorts(Operation):
    """Lead host ports to a container, all of them in one transaction."""

    kind: ClassVar[str] = "publish-ports"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    table: str
    target: str
    """The container's IPv4 address."""
    ports: tuple[tuple[str, str, int, int], ...]
    """Protocol, host address (empty: any of IPv4, `::`: any of IPv6), host port, its port."""
    target6: str = ""
    """The container's IPv6 address, where ports on IPv6 addresses lead."""

    def do(self, hands: Hands) -> Evidence:
        with _filter(hands) as descriptor:
            nftables.add_elements(descriptor, self.table, self.elements())
            self._forget_flows(descriptor)
        return {"elements": len(self.ports)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with _filter(hands) as descriptor:
            _delete(descriptor, self.table, self.elements())
            self._forget_flows(descriptor)

    def check(self, evidence: Evidence) -> Finding:
        wanted = self.elements()
        try:
            with _filter(Hands()) as descriptor:
                seen = {
                    (each.map_name, each.key): each.value
                    for name in sorted({element.map_name for element in wanted})
                    for each in nftables.list_elements(descriptor, self.table, name)
                }
        except KernelError as error:
            if nftables.is_missing(error):
                return Finding(Verdict.GONE, f"no table {_FAMILY} {self.table}")
            raise
        found = [seen.get((each.map_name, each.key)) for each in wanted]
        if found == [each.value for each in wanted]:
            return Finding(Verdict.STILL_TRUE, f"{len(wanted)} in {_FAMILY} {self.table}")
        verdict = Verdict.CHANGED if any(found) else Verdict.GONE
        present = sum(each is not None for each in found)
        return Finding(verdict, f"{present} of {len(wanted)} in {_FAMILY} {self.table}")

    def describe(self) -> str:
        shown = ", ".join(
            f"{_bracketed(address) or '*'}:{port} -> {_bracketed(self._target(address))}:{inner}"
            f"/{protocol}"
            for protocol, address, port, inner in self.ports
        )
        return f"publish {shown}"

    def shell(self) -> str:
        return f"nft {shlex.quote('; '.join(self._commands('add')))}"

    def undo_shell(self) -> str:
        """The command line that takes it back."""
        return f"nft {shlex.quote('; '.join(self._commands('delete', with_value=False)))}"

    def _commands(self, verb: str, *, with_value: bool = True) -> Iterator[str]:
        for protocol, address, port, inner in self.ports:
            is_anywhere = address in ("", ANY_V6)
            key = str(port) if is_anywhere else f"{address} . {port}"
            value = f" : {self._target(address)} . {inner}" if with_value else ""
            place = f"{_FAMILY} {self.table} {_map_name(protocol, address)}"
            yield f"{verb} element {place} {{ {key}{value} }}"

    def elements(self) -> tuple[nftables.Element, ...]:
        """The entries of the maps."""
        return tuple(
            port_element(protocol, address, port, ip_address(self._target(address)), inner)
            for protocol, address, port, inner in self.ports
        )

    def singly(self) -> tuple["PublishPorts", ...]:
        """The same, one port at a time."""
        return tuple(replace(self, ports=(each,)) for each in self.ports)

    def _target(self, host_address: str) -> str:
        return self.target6 if ":" in host_address else self.target

    def _forget_flows(self, descriptor: int) -> None:
        """Flows that began before keep their old way: a UDP client would go on failing."""
        udp = {port for protocol, _address, port, _inner in self.ports if protocol == "udp"}
        if udp:
            conntrack.forget_udp_flows(descriptor, udp)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPorts(Operation):
    """Let other hosts reach ports of a container at its own addresses."""

    kind: ClassVar[str] = "open-ports"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    table: str
    ports: tuple[tuple[str, str, int], ...]
    """The container's address, protocol, port."""

    def do(self, hands: Hands) -> Evidence:
        with _filter(hands) as descriptor:
            nftables.add_elements(descriptor, self.table, self.elements())
        return {"elements": len(self.ports)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with _filter(hands) as descriptor:
            _delete(descriptor, self.table, self.elements())

    def check(self, evidence: Evidence) -> Finding:
        wanted = {each.key for each in self.elements()}
        try:
            with _filter(Hands()) as descriptor:
                seen = {
                    each.key
                    for name in REACHABLE
                    for each in nftables.list_elements(descriptor, self.table, name)
                }
        except KernelError as error:
            if nftables.is_missing(error):
                return Finding(Verdict.GONE, f"no table {_FAMILY} {self.table}")
            raise
        verdict = Verdict.STILL_TRUE if wanted <= seen else Verdict.GONE
        found = len(wanted & seen)
        return Finding(verdict, f"{found} of {len(wanted)} in {_FAMILY} {self.table}")

    def describe(self) -> str:
        shown = ", ".join(
            f"{_bracketed(address)}:{port}/{protocol}" for address, protocol, port in self.ports
        )
        return f"open {shown} to other hosts"

    def shell(self) -> str:
        commands = "; ".join(
            f"add element {_FAMILY} {self.table} {_reachable(address)} "
            f"{{ {address} . {protocol} . {port} }}"
            for address, protocol, port in self.ports
        )
        return f"nft {shlex.quote(commands)}"

    def singly(self) -> tuple["OpenPorts", ...]:
        """The same, one port at a time."""
        return tuple(replace(self, ports=(each,)) for each in self.ports)

    def elements(self) -> tuple[nftables.Element, ...]:
        """The entries of the sets."""
        return tuple(
            nftables.Element(
                map_name=_reachable(address),
                key=nftables.pack_address_protocol_port(
                    ip_address(address), _PROTOCOL_NUMBERS[protocol], port
                ),
                value=b"",
            )
            for address, protocol, port in self.ports
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetFlows(Operation):
    """End the connections that a published port leads to a container: its entry began them."""

    kind: ClassVar[str] = "forget-flows"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    ports: tuple[tuple[str, int], ...]
    """Protocol, host port."""
    target: str
    """The container's address."""

    def do(self, hands: Hands) -> Evidence:
        ports = {(_PROTOCOL_NUMBERS[protocol], port) for protocol, port in self.ports}
        with _filter(hands) as descriptor:
            count = conntrack.forget_flows_to(descriptor, ports, ip_address(self.target))
        return {"flows": count}

    def describe(self) -> str:
        shown = ", ".join(f"{port}/{protocol}" for protocol, port in self.ports)
        return f"end connections through {shown} to {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveStrayPorts(Operation):
    """Take out of the maps whatever is not to be there."""

    kind: ClassVar[str] = "remove-stray-ports"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    table: str
    kept: tuple[tuple[str, str, str], ...]
    """What is: the map, and in hexadecimal digits the key and what it leads to."""

    def do(self, hands: Hands) -> Evidence:
        kept = set(self.kept)
        with _filter(hands) as descriptor:
            stray = [
                each
                for name in (*MAPS, *REACHABLE)
                for each in nftables.list_elements(descriptor, self.table, name)
                if (each.map_name, each.key.hex(), each.value.hex()) not in kept
            ]
            _delete(descriptor, self.table, stray)
        return {"removed": len(stray)}

    def describe(self) -> str:
        return f"remove ports that lead nowhere from {_FAMILY} {self.table}"


def those_missing(
    wanted: Iterable[PublishPorts | OpenPorts], descriptor: int
) -> Iterator[PublishPorts | OpenPorts]:
    """Those of which an entry is not there. Raises: KernelError."""
    for table, group in groupby(wanted, key=lambda each: each.table):
        operations = tuple(group)
        elements = [element for each in operations for element in each.elements()]
        present = nftables.those_present(descriptor, table, elements)
        for each in operations:
            if not present.issuperset(each.elements()):
                yield each


def port_element(
    protocol: str,
    host_address: str,
    host_port: int,
    target: IPv4Address | IPv6Address,
    port: int,
) -> nftables.Element:
    """The entry that leads a host port to a container's.

    An empty address means any of IPv4, `::` any of IPv6.
    """
    if host_address in ("", ANY_V6):
        key = nftables.pack_port(host_port)
    else:
        key = nftables.pack_address_port(ip_address(host_address), host_port)
    value = nftables.pack_address_port(target, port)
    return nftables.Element(map_name=_map_name(protocol, host_address), key=key, value=value)


def _map_name(protocol: str, host_address: str) -> str:
    family = "6" if ":" in host_address else ""
    scope = ANYWHERE if host_address in ("", ANY_V6) else ADDRESSED
    return f"{protocol}{family}-{scope}"


def _reachable(address: str) -> str:
    return REACHABLE[":" in address]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _delete(descriptor: int, table: str, elements: Sequence[nftables.Element]) -> None:
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
def _filter(hands: Hands) -> Iterator[int]:
    """The netfilter socket from the hands; a passing one if need be."""
    if hands.holds(PACKET_FILTER):
        yield hands.get(PACKET_FILTER)
        return
    descriptor = nftables.open_filter_socket()
    try:
        yield descriptor
    finally:
        os.close(descriptor)
