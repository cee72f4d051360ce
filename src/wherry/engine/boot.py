"""From what the last engine left to a consistent world, before the first request is served.

Containers are never stopped by a boot, but for those that ran steps of a build, which died with
the engine. All others are taken over, or their end is recorded. What belongs to no record is
removed, unless records were lost: then it stays.
"""

import asyncio
import logging

from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.remove import RemoveContainer
from wherry.engine.containers.restarts import Restarts
from wherry.engine.containers.taking_over import TakeOver
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.records import ContainerRecords
from wherry.engine.stock_taking import StockTaking
from wherry.kit.aio import OffloadPool
from wherry.model.errors import WherryError
from wherry.model.lifecycle import ContainerState
from wherry.networks import Networks

_log = logging.getLogger(__name__)


class Boot:
    """Reconciles records with shims, networks and directories."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        stock: StockTaking,
        take_over: TakeOver,
        live: LiveContainers,
        networks: Networks,
        volumes: ContainerVolumes,
        remove: RemoveContainer,
        restarts: Restarts,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._stock = stock
        self._take_over = take_over
        self._live = live
        self._networks = networks
        self._volumes = volumes
        self._remove = remove
        self._restarts = restarts
        self._offload = offload

    async def reconcile(self) -> None:
        """Take over what lives, record what ended, sweep what is nobody's."""
        self._records.load()
        known = list(self._records.all())
        await self._offload(self._stock.expect_snapshots)
        await asyncio.gather(*map(self._take_over, known))
        await self._networks.sweep(self._live.ids())
        await self._volumes.take_over()
        await self._end_steps()
        await self._offload(self._stock.sweep, self._live.ids())
        for container in list(self._records.all()):
            if container.spec.removes_itself and container.status.state is ContainerState.EXITED:
                await self._remove.after_exit(container.id)
        await self._restarts.resume()

    async def _end_steps(self) -> None:
        """End and remove what ran for builds of the last engine."""
        for step in [each for each in self._records.all() if each.spec.ends_with_engine]:
            try:
                await self._remove(step.id, is_forced=True, removes_volumes=True)
            except (OSError, WherryError):
                _log.exception("boot.step_left container=%s", step.id)
