"""What leads to containers' ports, brought back: after somebody's flush, and after a boot.

The packet filter's skeleton follows from the networks alone; its entries for ports follow from
who is attached. Both are compared with what is there and completed, never emptied first.

A repair may begin at any moment. Whoever takes entries away first sees to it that no repair
knows of them any more, and that none which did is still at work: it would bring them back, to
lead to nobody, or to somebody else.
"""

import asyncio
from collections.abc import Callable, Iterable

from wherry.kit.aio import OffloadPool
from wherry.networks import connections
from wherry.networks.joins import Attached
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.uninterrupted import to_its_end


class FilterRepair:
    """Makes the packet filter say what containers have."""

    def __init__(
        self,
        networks: MadeNetworks,
        attached: Callable[[], Iterable[Attached]],
        offload: OffloadPool,
        changing: asyncio.Lock,
    ) -> None:
        """`attached` tells of every container; `changing` is held while networks come or go."""
        self._networks, self._attached = networks, attached
        self._offload, self._changing = offload, changing
        self.publishing = asyncio.Lock()
        """Held while entries of containers are completed."""

    async def bring_back(self) -> None:
        """Skeleton, bridges and ports, whatever is missing of them. Raises: StepFailed."""
        async with self._changing:
            await self._networks.bring_up()
        await self._publish_missing()

    async def settle(self) -> None:
        """At boot: ports lead to those who live and to nobody else. Raises: StepFailed."""
        await self._offload(
            connections.remove_stray_ports,
            self._networks.table,
            self._publications(),
            packet_filter=self._networks.packet_filter,
        )
        await self._publish_missing()

    async def finished(self) -> None:
        """Whoever was forgotten before this is not brought back after it."""
        async with self.publishing:
            pass

    async def _publish_missing(self) -> None:
        async with self.publishing:
            await to_its_end(
                self._offload(
                    connections.publish_missing_ports,
                    self._publications(),
                    packet_filter=self._networks.packet_filter,
                )
            )

    def _publications(self) -> list[connections.Publication]:
        """What leads to each container's ports."""
        ways_out = [each.way_out for each in self._attached()]
        return [
            self._networks.under(each).publication(each)
            for each in ways_out
            if each is not None and each.published
        ]
