"""Watching the packet filter: what somebody takes out of our table is put back.

The kernel tells of every change (the multicast group NFNLGRP_NFTABLES). Most are elements that
containers add and remove, and cost one look at a message's kind. When a table, chain, set or rule
of ours is gone, whoever did it, the whole skeleton is installed again in one transaction. What
is told while that happens is our own doing and is not looked at, or repairs would follow from
repairs. The chain `user` belongs to the operator: rules that leave it are no damage.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable

from wherry.linux import nft_monitor
from wherry.networks.packet_table import USER_CHAIN

_log = logging.getLogger(__name__)

_SETTLE_S = 0.1
"""After a loss, how long to let a script finish that may take away more."""
_RETRY_S = 1.0


class FilterGuard:
    """Repairs one table for as long as it is started."""

    def __init__(self, repair: Callable[[], Awaitable[None]]) -> None:
        """`repair` puts everything back that the table is to have."""
        self._repair = repair
        self._table = ""
        self._monitor = -1
        self._mending: asyncio.Task[None] | None = None

    @property
    def is_watching(self) -> bool:
        """Whether it was started and not stopped."""
        return self._monitor >= 0

    def start(self, table: str) -> None:
        """Watch from now on. Raises: OSError."""
        self._table = table
        self._monitor = nft_monitor.open_monitor_socket()
        self._watch()

    async def stop(self) -> None:
        """Watch no longer. Doing so twice is no error."""
        if self._monitor < 0:
            return
        asyncio.get_running_loop().remove_reader(self._monitor)
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.gather(self._mending, return_exceptions=True)
        os.close(self._monitor)
        self._monitor = -1

    def _watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._monitor, self._on_told)

    def _on_told(self) -> None:
        if self._is_lost():
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._monitor)
            self._mending = loop.create_task(self._mend())

    def _is_lost(self) -> bool:
        """Whether what was told since the last look is a loss of ours."""
        lost = False
        with contextlib.suppress(BlockingIOError):
            while True:
                for table, chain in nft_monitor.read_removals(self._monitor):
                    lost = lost or (table in ("", self._table) and chain != USER_CHAIN)
        return lost

    async def _mend(self) -> None:
        """Repair until it holds, then look on."""
        await asyncio.sleep(_SETTLE_S)
        while True:
            try:
                await self._repair()
            except Exception as error:
                _log.warning("networks.repair_failed %s", error)
                await asyncio.sleep(_RETRY_S)
            else:
                break
        self._is_lost()  # our own doing
        _log.warning("networks.packet_filter_repaired table=%s", self._table)
        self._watch()
