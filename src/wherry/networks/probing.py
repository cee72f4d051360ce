"""One packet on its way, and which rule of the host's packet filter drops it.

A connection is begun from where the question comes from and closed at once. While it is under
way a table of ours marks its packets, and the kernel tells which rule or policy decides about
them (`linux.nft_trace`): that is true whoever wrote the rule, in whatever table.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator

from wherry.kit.aio import OffloadPool
from wherry.linux import nft_listing, nft_trace
from wherry.model.reaching import ProbeOutcome, ProbeSeen
from wherry.networks.sandboxes import NamespaceJobs
from wherry.operations.network.flow_marks import MarkFlow
from wherry.operations.plan import Hands, Journal, OperationFailed, execute, undo

_PATIENCE_S = 1.5
"""Longer than the second after which the kernel repeats a SYN (tcp(7))."""
_UDP_PATIENCE_S = 0.5
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: close by RST, so that nothing of the connection stays on either side."""


class Probing:
    """Sends packets, one at a time."""

    def __init__(self, *, table: str, jobs: NamespaceJobs, offload: OffloadPool) -> None:
        """`table` is the engine's table of the packet filter."""
        self._table, self._jobs, self._offload = table, jobs, offload
        self._one_at_a_time = asyncio.Lock()

    async def send(self, namespace_path: str, address: str, port: int, protocol: str) -> ProbeSeen:
        """Send a packet from a namespace; an empty path: the host's."""
        async with self._one_at_a_time:
            with await self._socket(namespace_path, address, protocol) as probe:
                probe.setblocking(False)
                probe.bind(("", 0))
                own_port = probe.getsockname()[1]
                async with self._traced(address, own_port, protocol) as drops:
                    outcome = await _outcome(probe, address, port, protocol)
        lost = outcome not in (ProbeOutcome.CONNECTED, ProbeOutcome.REFUSED)
        return ProbeSeen(outcome=outcome, dropped_by=drops[0] if lost and drops else "")

    async def _socket(self, namespace_path: str, address: str, protocol: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        if not namespace_path:
            return socket.socket(family, kind)
        return socket.socket(
            fileno=await self._jobs.open_socket(namespace_path, family=family, kind=kind)
        )

    @contextlib.asynccontextmanager
    async def _traced(
        self, address: str, own_port: int, protocol: str
    ) -> AsyncIterator[list[str]]:
        """What drops the packets of a flow; filled in when the block ends."""
        mark = MarkFlow(
            why="the kernel is to tell which rule decides about a packet of `wherry reach`",
            table=f"{self._table}-trace",
            protocol=protocol,
            own_port=own_port,
            address=address,
        )
        journal: Journal = []
        trace = nft_trace.open_trace_socket()
        drops: list[str] = []
        try:
            with contextlib.suppress(OperationFailed):  # then the packet goes unmarked
                await self._offload(execute, (mark,), Hands(), journal)
            yield drops
            drops += await self._offload(_described, trace)
        finally:
            os.close(trace)
            await asyncio.shield(self._offload(undo, journal, Hands()))


async def _outcome(probe: socket.socket, address: str, port: int, protocol: str) -> ProbeOutcome:
    loop = asyncio.get_running_loop()
    try:
        if protocol == "udp":
            probe.connect((address, port))
            probe.send(b"")
            await asyncio.wait_for(loop.sock_recv(probe, 1), _UDP_PATIENCE_S)
        else:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            await asyncio.wait_for(loop.sock_connect(probe, (address, port)), _PATIENCE_S)
    except ConnectionRefusedError:
        return ProbeOutcome.REFUSED
    except PermissionError:
        return ProbeOutcome.FORBIDDEN
    except TimeoutError:
        return ProbeOutcome.SILENT
    except OSError:
        return ProbeOutcome.UNREACHABLE
    return ProbeOutcome.CONNECTED


def _described(trace: int) -> list[str]:
    """The rules that dropped something, in words."""
    return [_words(each) for each in nft_trace.read_drops(trace)]


def _words(drop: nft_trace.Drop) -> str:
    chain = f"{drop.family} {drop.table} {drop.chain}"
    if not drop.handle:
        return f"the policy of the chain {chain}"
    rule = nft_listing.rules(drop.family, drop.table, drop.chain).get(drop.handle)
    return f"the rule `{rule}` of the chain {chain}" if rule else f"a rule of {chain}"
