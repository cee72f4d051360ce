"""Watching the packet filter: what somebody takes out of our table is put back.

The kernel tells of every change (the multicast group NFNLGRP_NFTABLES). Most are elements that
containers add and remove, and cost one look at a message's kind. When a table, chain, set or rule
of ours is gone, whoever did it, the whole skeleton is installed again in one transaction. What
is told while that happens is our own doing and is not looked at, or repairs would follow from
repairs. The chain `user` belongs to the operator: rules that leave it are no damage. When chains
of others come or lose something, they are looked at: one that drops may have come, or lost our
rule (`foreign_filters`).
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from enum import IntEnum

from wherry.linux import nft_monitor
from wherry.networks.packets.packet_table import USER_CHAIN

_log = logging.getLogger(__name__)

_SETTLE_S = 0.1
"""After a loss, how long to let a script finish that may take away more."""
_RETRY_S = 1.0


class _Told(IntEnum):
    """Whom a change concerns; the worst counts."""

    NOTHING = 0
    OTHERS = 1
    OURS = 2


class FilterGuard:
    """Repairs one table for as long as it is started."""

    def __init__(
        self,
        repair: Callable[[], Awaitable[None]],
        is_past_others: Callable[[], Awaitable[bool]],
    ) -> None:
        """`repair` puts everything back that the table is to have.

        `is_past_others` says whether our packets get past what others have put in their way.
        """
        self._repair, self._is_past_others = repair, is_past_others
        self._table = ""
        self._monitor = -1
        self._tending: asyncio.Task[None] | None = None

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
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        os.close(self._monitor)
        self._monitor = -1

    def _watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._monitor, self._on_told)

    def _on_told(self) -> None:
        told = self._told()
        if told is not _Told.NOTHING:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._monitor)
            tend = self._mend() if told is _Told.OURS else self._look_at_others()
            self._tending = loop.create_task(tend)

    def _told(self) -> "_Told":
        """Whom what was told since the last look concerns."""
        told = _Told.NOTHING
        with contextlib.suppress(BlockingIOError):
            while True:
                for change in nft_monitor.read_changes(self._monitor):
                    told = max(told, self._concerns(change))
        return told

    def _concerns(self, change: nft_monitor.Change) -> "_Told":
        if change.table in ("", self._table):
            is_loss = change.is_loss and change.chain != USER_CHAIN
            return _Told.OURS if is_loss else _Told.NOTHING
        is_ours = change.table.startswith(f"{self._table}-")
        return _Told.NOTHING if is_ours else _Told.OTHERS

    async def _look_at_others(self) -> None:
        """Repair if others' filters are not as we took care of them; then look on."""
        await asyncio.sleep(_SETTLE_S)
        try:
            is_well = await self._is_past_others()
        except Exception as error:
            _log.warning("networks.look_failed %s", error)
            is_well = True
        if is_well:
            self._watch()
        else:
            await self._mend()

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
        self._told()  # our own doing
        _log.warning("networks.packet_filter_repaired table=%s", self._table)
        self._watch()
