"""Who reaches whom at every moment: while the daemon is replaced, and when the filter is flushed.

Every container sends a datagram to every other one each 20 ms, of both families, from a new port
each time, so that no answer to an earlier flow is let through. Whoever receives one marks it in
shared memory, under the phase in which it was sent (RELIABILITY.md N01 to N03, 4.1 row 14).
"""

import asyncio
import contextlib
import mmap
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from kernel.networks.private_host import LAN, NEIGHBOUR, PrivateHost, enter, run, shell
from wherry.model.containers import NetworkSpec
from wherry.model.ids import ContainerId
from wherry.model.networks import (
    EndpointStatus,
    EndpointWish,
    NetworkMode,
    NetworkModeKind,
    NetworkRequest,
)
from wherry.networks import Networks

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

_EVERY_S = 0.02
_PORT = 4009
_MOST = 16
_LEAST_VERDICTS = 200
BEFORE, WHILE_REPLACED, AFTER, WHILE_FLUSHED, REPAIRED = range(5)
_ICC = "com.docker.network.bridge.enable_icc"

Pair = tuple[str, str, int]
"""From whom, to whom, and the version of IP."""


@dataclass(frozen=True)
class Node:
    """A container, or the neighbour on the host's LAN."""

    name: str
    network: str
    namespace: str
    addresses: dict[int, str]
    endpoints: tuple[EndpointStatus, ...] = ()


class Matrix:
    """What was received, in memory that the nodes share: one byte for the phase, then marks."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._memory = mmap.mmap(-1, 1 + 8 * _MOST * _MOST * 2)

    @property
    def phase(self) -> int:
        """Which phase it is."""
        return self._memory[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self._memory[0] = phase

    def mark(self, phase: int, source: int, target: int, version: int) -> None:
        """Somebody received a datagram."""
        self._memory[self._place(phase, source, target, version)] = 1

    def received(self, phase: int) -> set[Pair]:
        """Who reached whom in a phase."""
        return {
            (source.name, target.name, version)
            for s, source in enumerate(self._nodes)
            for t, target in enumerate(self._nodes)
            for version in (4, 6)
            if self._memory[self._place(phase, s, t, version)]
        }

    def _place(self, phase: int, source: int, target: int, version: int) -> int:
        return 1 + ((phase * _MOST + source) * _MOST + target) * 2 + (version == 6)

    def talk(self, index: int) -> None:
        """Be one node until the parent ends."""
        node, parent = self._nodes[index], os.getppid()
        enter(node.namespace)
        listeners = {version: _bound(version, _PORT) for version in node.addresses}
        while os.getppid() == parent:
            self._tell_everybody(index, node)
            until = time.monotonic() + _EVERY_S
            while time.monotonic() < until:
                for version, listener in listeners.items():
                    with contextlib.suppress(OSError):
                        phase, source = listener.recv(16)
                        self.mark(phase, source, index, version)
                time.sleep(_EVERY_S / 10)
        os._exit(0)

    def _tell_everybody(self, index: int, node: Node) -> None:
        for version in node.addresses:
            with _bound(version, 0) as sender:
                for target, other in enumerate(self._nodes):
                    if target != index and version in other.addresses:
                        with contextlib.suppress(OSError):
                            datagram = bytes((self.phase, index))
                            sender.sendto(datagram, (other.addresses[version], _PORT))


def _bound(version: int, port: int) -> socket.socket:
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if version == 6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(("::" if version == 6 else "0.0.0.0", port))
    return made


def pairs(nodes: list[Node]) -> set[Pair]:
    """Every question that can be asked."""
    return {
        (one.name, other.name, version)
        for one in nodes
        for other in nodes
        for version in one.addresses
        if one is not other and version in other.addresses
    }


def allowed(nodes: list[Node]) -> set[Pair]:
    """Neighbours on one network, unless they must not meet; and from inside to outside."""
    network = {each.name: each.network for each in nodes}
    return {
        (one, other, version)
        for one, other, version in pairs(nodes)
        if (network[one] == network[other] and network[one] != "apart")
        or (network[other] == "lan" and network[one] != "inside")
    }


async def made(host: PrivateHost, networks: Networks) -> list[Node]:
    """Two containers on each kind of network, one on another, and the neighbour with routes."""
    for name, more in (
        ("blue", {}),
        ("red", {}),
        ("inside", {"is_internal": True}),
        ("apart", {"options": {_ICC: "false"}}),
    ):
        await networks.create(NetworkRequest(name=name, has_ipv6=True, **more))  # type: ignore[arg-type]
    nodes = []
    for name in ("blue1", "blue2", "red1", "inside1", "inside2", "apart1", "apart2", "bridge1"):
        network = name[:-1]
        sandbox = await networks.attach(host.request(name, spec_of(network)))
        (endpoint,) = sandbox.endpoints
        addresses = {4: endpoint.address, 6: endpoint.ipv6_address}
        nodes.append(
            Node(
                name=name,
                network=network,
                namespace=sandbox.namespace_path,
                addresses={version: each for version, each in addresses.items() if each},
                endpoints=sandbox.endpoints,
            )
        )
    for each in networks.list():
        if each.subnet:
            host.inside(host.neighbour, f"ip route add {each.subnet} via {LAN}")
    return [*nodes, Node("lan1", "lan", host.neighbour, {4: NEIGHBOUR})]


def spec_of(network: str) -> NetworkSpec:
    """A container on one network."""
    if network == "bridge":
        return NetworkSpec()
    return NetworkSpec(
        mode=NetworkMode(NetworkModeKind.NETWORK, network),
        endpoints=(EndpointWish(network=network),),
    )


async def until(happened: Callable[[], bool], *, within_s: float) -> float:
    """Look again and again, while the event loop goes on; how long it took, in seconds."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < within_s
        await asyncio.sleep(_EVERY_S)
    return time.monotonic() - began


def talking(host: PrivateHost, nodes: list[Node]) -> Matrix:
    """Everybody begins to talk."""
    matrix = Matrix(nodes)
    for index in range(len(nodes)):

        def prepare(index: int = index) -> None:
            if os.fork() == 0:
                matrix.talk(index)

        host.fork(prepare)
    return matrix


async def verdicts(matrix: Matrix, phase: int, nodes: list[Node]) -> int:
    """All that may be reached is, and nothing else within some rounds more."""
    matrix.phase = phase
    wanted = allowed(nodes)
    await until(lambda: wanted <= matrix.received(phase), within_s=30)
    await asyncio.sleep(_EVERY_S * 10)
    assert matrix.received(phase) == wanted
    return len(pairs(nodes))


def test_apart_at_every_moment() -> None:
    """Before, while and after the daemon is replaced; again once a flush is repaired."""

    async def scenario(host: PrivateHost) -> None:
        first = host.networks()
        await first.open()
        await first.sweep(frozenset())
        nodes = await made(host, first)
        matrix = talking(host, nodes)
        count = await verdicts(matrix, BEFORE, nodes)

        matrix.phase = WHILE_REPLACED
        for _again in range(3):
            await first.close()
            second = host.networks()
            await second.open()
            for each in nodes[:-1]:
                request = host.request(each.name, spec_of(each.network))
                await second.restore(request, each.endpoints)
            await second.sweep({ContainerId(each.name) for each in nodes[:-1]})
            first = second
        count += await verdicts(matrix, AFTER, nodes)
        assert matrix.received(WHILE_REPLACED) <= allowed(nodes), "never open"

        matrix.phase = WHILE_FLUSHED
        shell("nft flush ruleset")
        await until(lambda: "@within accept" in shell("nft list ruleset"), within_s=5)
        await asyncio.sleep(_EVERY_S * 5)
        count += await verdicts(matrix, REPAIRED, nodes)
        assert count >= _LEAST_VERDICTS
        await first.remove_everything()

    run(scenario)


def test_an_open_moment_would_be_seen() -> None:
    """The mutant: an engine that takes its table away before it makes a new one."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        nodes = await made(host, networks)
        matrix = talking(host, nodes)
        await verdicts(matrix, BEFORE, nodes)
        matrix.phase = WHILE_REPLACED
        shell("nft delete table inet wherry-docker0")
        await until(lambda: not matrix.received(WHILE_REPLACED) <= allowed(nodes), within_s=30)
        await networks.remove_everything()

    run(scenario)
