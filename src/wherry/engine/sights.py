"""Looking at networks: whether a packet arrives, and the packets themselves.

Seldom wanted: what answers is loaded with the first question.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from wherry.engine.containers.live import LiveContainers
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.model.reaching import Reach, ReachQuestion
from wherry.networks import Networks

if TYPE_CHECKING:
    from wherry.engine.reaching.looking import Reachability


class Sights:
    """What the API asks."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        networks: Networks,
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._records, self._live, self._networks = records, live, networks
        self._paths, self._offload = paths, offload

    async def reach(self, question: ReachQuestion) -> Reach:
        """Whether a packet arrives, and why not. Raises: ContainerNotFound, InvalidValue."""
        return await self._reachability()(question)

    async def reach_all(self, *, is_static: bool) -> Sequence[Reach]:
        """The same for every two containers that run, and each port that one listens on."""
        return await self._reachability().all(is_static=is_static)

    def _reachability(self) -> "Reachability":
        from wherry.engine.reaching.looking import Reachability

        return Reachability(
            records=self._records,
            live=self._live,
            networks=self._networks,
            paths=self._paths,
            offload=self._offload,
        )

    async def capture(
        self, reference: str, *, count: int, expression: str
    ) -> AsyncGenerator[bytes, None]:
        """A container's packets from now on, as pcapng; zero: until it ends.

        With an expression (pcap-filter(7)), those that it is true of. Raises: ContainerNotFound,
        ContainerNotRunning, InvalidField, HostLacks.
        """
        from wherry.engine.captures import capture, require_alive

        container = self._records.find(reference)
        require_alive(container)
        sandbox = self._live.sandbox(container.id)
        path = sandbox.namespace_path if sandbox is not None else ""
        opened = await self._networks.sight.open_packet_socket(path, expression)
        return capture(container, opened, lambda: container.id in self._live.ids(), count=count)
