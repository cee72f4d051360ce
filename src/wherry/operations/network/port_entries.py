"""Ports that lead into containers: entries of the packet filter's maps and sets.

A change of several entries is one transaction: there is no moment in which a port that leads
somewhere before and after it leads nowhere.
"""

import shlex
from collections.abc import Iterable, Iterator, Set
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby
from typing import ClassVar

from wherry.kit.values import dataclass, replace
from wherry.linux import conntrack, nftables
from wherry.linux.syscall import KernelError
from wherry.operations.network.packet_filter import (
    ADDRESSED,
    ANYWHERE,
    FAMILY,
    MAPS,
    REACHABLE,
    delete_elements,
    filter_socket,
)
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict

ANY_V6 = "::"

_PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}


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
        with filter_socket(hands) as descriptor:
            nftables.add_elements(descriptor, self.table, self.elements())
            self._forget_flows(descriptor)
        return {"elements": len(self.ports)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with filter_socket(hands) as descriptor:
            delete_elements(descriptor, self.table, self.elements())
            self._forget_flows(descriptor)

    def check(self, evidence: Evidence) -> Finding:
        wanted = self.elements()
        try:
            with filter_socket(Hands()) as descriptor:
                seen = {
                    (each.map_name, each.key): each.value
                    for name in sorted({element.map_name for element in wanted})
                    for each in nftables.list_elements(descriptor, self.table, name)
                }
        except KernelError as error:
            if nftables.is_missing(error):
                return Finding(Verdict.GONE, f"no table {FAMILY} {self.table}")
            raise
        found = [seen.get((each.map_name, each.key)) for each in wanted]
        if found == [each.value for each in wanted]:
            return Finding(Verdict.STILL_TRUE, f"{len(wanted)} in {FAMILY} {self.table}")
        verdict = Verdict.CHANGED if any(found) else Verdict.GONE
        present = sum(each is not None for each in found)
        return Finding(verdict, f"{present} of {len(wanted)} in {FAMILY} {self.table}")

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
            place = f"{FAMILY} {self.table} {_map_name(protocol, address)}"
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

    def udp_ports(self) -> set[int]:
        """Ports of the host by which datagrams come."""
        return {port for protocol, _address, port, _inner in self.ports if protocol == "udp"}

    def _forget_flows(self, descriptor: int) -> None:
        """Flows that began before keep their old way: a UDP client would go on failing."""
        _forget_udp_flows(descriptor, self.udp_ports())


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPorts(Operation):
    """Let other hosts reach ports of a container at its own addresses."""

    kind: ClassVar[str] = "open-ports"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    table: str
    ports: tuple[tuple[str, str, int], ...]
    """The container's address, protocol, port."""

    def do(self, hands: Hands) -> Evidence:
        with filter_socket(hands) as descriptor:
            nftables.add_elements(descriptor, self.table, self.elements())
        return {"elements": len(self.ports)}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with filter_socket(hands) as descriptor:
            delete_elements(descriptor, self.table, self.elements())

    def check(self, evidence: Evidence) -> Finding:
        wanted = {each.key for each in self.elements()}
        try:
            with filter_socket(Hands()) as descriptor:
                seen = {
                    each.key
                    for name in REACHABLE
                    for each in nftables.list_elements(descriptor, self.table, name)
                }
        except KernelError as error:
            if nftables.is_missing(error):
                return Finding(Verdict.GONE, f"no table {FAMILY} {self.table}")
            raise
        verdict = Verdict.STILL_TRUE if wanted <= seen else Verdict.GONE
        found = len(wanted & seen)
        return Finding(verdict, f"{found} of {len(wanted)} in {FAMILY} {self.table}")

    def describe(self) -> str:
        shown = ", ".join(
            f"{_bracketed(address)}:{port}/{protocol}" for address, protocol, port in self.ports
        )
        return f"open {shown} to other hosts"

    def shell(self) -> str:
        commands = "; ".join(
            f"add element {FAMILY} {self.table} {_reachable(address)} "
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
        with filter_socket(hands) as descriptor:
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
        with filter_socket(hands) as descriptor:
            stray = [
                each
                for name in (*MAPS, *REACHABLE)
                for each in nftables.list_elements(descriptor, self.table, name)
                if (each.map_name, each.key.hex(), each.value.hex()) not in kept
            ]
            delete_elements(descriptor, self.table, stray)
        return {"removed": len(stray)}

    def describe(self) -> str:
        return f"remove ports that lead nowhere from {FAMILY} {self.table}"


def exchange(
    descriptor: int,
    goes: Iterable[PublishPorts | OpenPorts],
    comes: Iterable[PublishPorts | OpenPorts],
) -> None:
    """Have these entries and not those, in one transaction; what is so already stays.

    Raises: KernelError (EEXIST: somebody else's entry has the place of one; ENOENT: no table).
    """
    goes, comes = tuple(goes), tuple(comes)
    for table in dict.fromkeys(each.table for each in (*goes, *comes)):
        before = _by_place(each for each in goes if each.table == table)
        after = _by_place(each for each in comes if each.table == table)
        names = {map_name for map_name, _key in (*before, *after)}
        present = _placed(
            each for name in names for each in nftables.list_elements(descriptor, table, name)
        )
        gone = [
            each
            for place, each in before.items()
            if present.get(place) == each and after.get(place) != each
        ]
        new = [each for place, each in after.items() if present.get(place) != each]
        nftables.exchange_elements(descriptor, table, gone, new)
        _forget_udp_flows(descriptor, _udp_ports((*goes, *comes), {*gone, *new}))


_Places = dict[tuple[str, bytes], nftables.Element]
"""Entries by the map or set that they are in, and their key."""


def _by_place(operations: Iterable[PublishPorts | OpenPorts]) -> _Places:
    return _placed(element for each in operations for element in each.elements())


def _placed(elements: Iterable[nftables.Element]) -> _Places:
    return {(each.map_name, each.key): each for each in elements}


def _udp_ports(
    operations: Iterable[PublishPorts | OpenPorts], changed: Set[nftables.Element]
) -> set[int]:
    """Ports of the host that lead elsewhere now, and whose flows would keep their old way."""
    return {
        port
        for each in operations
        if isinstance(each, PublishPorts)
        for single in each.singly()
        if not changed.isdisjoint(single.elements())
        for port in single.udp_ports()
    }


def _forget_udp_flows(descriptor: int, ports: set[int]) -> None:
    if ports:
        conntrack.forget_udp_flows(descriptor, ports)


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
