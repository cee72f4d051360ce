"""What networks cost: made, removed, started on; between containers; names; many of them."""

import contextlib
import itertools
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import ports
from lives import start_ms
from session import Session
from table import Table

from wherry.linux import nftables
from wherry.model.networks import AddressRange
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.packets.packet_table import admission
from wherry.operations.network.packet_filter import PACKET_FILTER, AdmitNetwork
from wherry.operations.network.port_entries import PublishPorts
from wherry.operations.plan import Hands

T = TypeVar("T")
NETWORK = "bench"
_numbers = itertools.count(1)


def networks(table: Table) -> None:
    """Networks made and started on, what is between their containers, and many of them."""
    table.measure("network create", "ms", "<= 0.3", 20, _create_ms)
    table.measure("network rm", "ms", "<= 0.1", 20, _remove_ms)
    with contextlib.ExitStack() as stack:
        pairs = {session: stack.enter_context(_pair(session)) for session in table.sessions}
        for network in ("none", NETWORK):
            name = f"start, network {network}"
            table.measure(
                name, "ms", "<= 1.25 none", 20, lambda session, on=network: start_ms(session, on)
            )
        for unit, *load in (("MB/s", "send", "2000"), ("conn/s", "connect", "1")):
            table.measure(
                "container to container",
                unit,
                ">= 1",
                7,
                lambda session, load=load: pairs[session].load(*load),
            )
        for unit, which, goal in (("1/s", 0, ">= 1"), ("p99 us", 1, "<= 1")):
            table.measure(
                "look-ups of a name",
                unit,
                goal,
                7,
                lambda session, at=which: pairs[session].look_ups("1")[at],
            )
    _many(table)


def _many(table: Table) -> None:
    """What the packet filter takes for many networks: of a change, and of a packet's way."""
    few, many = (20, 100) if table.quick else (200, 1000)
    size = f"{few} networks, {many} endpoints"
    with ports.served(table.ours), _crowd(table.ours, networks=few, endpoints=many) as crowd:
        row = table.row(f"rule update, {size} [us]", "<= 10 ms")
        row.ours += [_rule_update_us(table.ours, crowd.table) for _ in range(5)]
        row.show()
        for unit, *words in (("MB/s", "send", "1000"), ("conn/s", "connect", "1")):
            table.compare(
                f"a port, alone and beside {many} [{unit}]",
                ">= 0.95",
                7,
                theirs=lambda words=words: crowd.away(lambda: ports.load(table.ours, *words)),
                ours=lambda words=words: ports.load(table.ours, *words),
            )


def _create_ms(session: Session) -> float:
    """The answer to a network's creation; its removal is not measured."""
    took, name = _created(session)
    session.call("DELETE", f"/networks/{name}")
    return took


def _remove_ms(session: Session) -> float:
    """The answer to a removal."""
    _took, name = _created(session)
    begun = time.perf_counter()
    session.call("DELETE", f"/networks/{name}")
    return (time.perf_counter() - begun) * 1000


def _created(session: Session) -> tuple[float, str]:
    name = f"passing{next(_numbers)}"
    begun = time.perf_counter()
    session.call("POST", "/networks/create", {"Name": name})
    return (time.perf_counter() - begun) * 1000, name


class Pair:
    """Two containers on a network, one of which serves."""

    def __init__(self, session: Session, server: str, client: str) -> None:
        self._session, self._client = session, client
        told = json.loads(session.call("GET", f"/containers/{server}/json")[1])
        self._address = told["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
        self._name = server[:12]  # earlier dockerds give no other name where none was wished

    def load(self, verb: str, amount: str) -> float:
        """What netload measures from one container to the other."""
        return float(self._run(verb, self._address, "7000", amount).split()[0])

    def look_ups(self, seconds: str) -> tuple[float, float]:
        """Look-ups of the server's name each second, and the 99th of a hundred in microseconds."""
        rate, p99_us = self._run("names", self._name, seconds).split()
        return float(rate), float(p99_us)

    def _run(self, *words: str) -> str:
        return self._session.engine.docker_ok("exec", self._client, "/netload", *words)


@contextlib.contextmanager
def _pair(session: Session) -> Iterator[Pair]:
    """Two containers on a network of a user's, for a while."""
    session.call("POST", "/networks/create", {"Name": NETWORK})
    bind = [f"{session.netload}:/netload:ro"]
    with contextlib.ExitStack() as stack:
        stack.callback(session.call, "DELETE", f"/networks/{NETWORK}")
        server, client = (
            stack.enter_context(session.running(*command, NetworkMode=NETWORK, Binds=bind))
            for command in (("/netload", "serve", "7000"), ("sleep", "3600"))
        )
        yield Pair(session, server, client)


# -- many of them ----------------------------------------------------------------------------


class Crowd:
    """Networks and published endpoints in the packet filter, as far as that knows of them."""

    def __init__(self, session: Session, table: str, *, networks: int, endpoints: int) -> None:
        self._session, self.table = session, table
        self._operations = (
            _published(table, range(20000, 20000 + endpoints)),
            *(_admission(table, number) for number in range(networks)),
        )

    def come(self) -> None:
        """They are there."""
        _in_machine(self._session, lambda hands: [each.do(hands) for each in self._operations])

    def go(self) -> None:
        """They are not."""
        _in_machine(
            self._session, lambda hands: [each.undo(hands, {}) for each in self._operations]
        )

    def away(self, measure: Callable[[], T]) -> T:
        """What is measured without them."""
        self.go()
        try:
            return measure()
        finally:
            self.come()


@contextlib.contextmanager
def _crowd(session: Session, *, networks: int, endpoints: int) -> Iterator[Crowd]:
    """So many networks, and so many published endpoints, for a while."""
    listed = session.engine.machine.run("nft", "list", "tables").stdout
    table = re.findall(r"table inet (wherry-\S+)", listed)[0]
    crowd = Crowd(session, table, networks=networks, endpoints=endpoints)
    crowd.come()
    try:
        yield crowd
    finally:
        crowd.go()


def _admission(table: str, number: int) -> AdmitNetwork:
    subnet = AddressRange(subnet=f"10.{200 + number // 250}.{number % 250}.0/24")
    name = f"crowd{number}"
    return admission(BridgeSettings(name=name, ranges=(subnet,), alias="", table=table))


def _rule_update_us(session: Session, table: str) -> float:
    """One port published and unpublished: the mean of the two, as the daemon does them."""
    one = _published(table, range(40000, 40001))

    def change(hands: Hands) -> float:
        took = []
        for _ in range(20):
            begun = time.perf_counter()
            one.do(hands)
            one.undo(hands, {})
            took.append((time.perf_counter() - begun) * 1e6 / 2)
        return statistics.median(took)

    return _in_machine(session, change)


def _published(table: str, host_ports: range) -> PublishPorts:
    return PublishPorts(
        why="a benchmark",
        table=table,
        target="10.200.0.9",
        ports=tuple(("tcp", "", port, 80) for port in host_ports),
    )


def _in_machine(session: Session, call: Callable[[Hands], T]) -> T:
    """Call something with a netfilter socket of the machine's."""

    def there() -> T:
        hands = Hands({PACKET_FILTER: nftables.open_filter_socket()})
        try:
            return call(hands)
        finally:
            hands.close()

    return session.engine.machine.in_network(there)
