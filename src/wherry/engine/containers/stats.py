"""Watching what containers use: all watched containers are read together, once a second.

Theory of operation. A watcher gets a sample at once, then one each second with the one before it
to compare. While anybody watches, one task wakes each second and reads the counters of every
watched container in one visit to the offload pool; without watchers nothing runs. A watcher that
is slow misses samples, and never holds up the others.
"""

import asyncio
from collections.abc import AsyncIterator

from wherry.engine.containers.cgroups import cgroup_directories
from wherry.engine.containers.usage import UsagePlaces, read_machine_time, read_usage
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.kit.values import dataclass, field
from wherry.linux.cgroups import CgroupLayout
from wherry.model.containers import Container
from wherry.model.ids import ContainerId
from wherry.model.networks import NetworkModeKind
from wherry.model.stats import Usage, UsageSample

INTERVAL_S = 1.0


@dataclass(eq=False, slots=True)
class _Watcher:
    """One client's place in the rounds."""

    container_id: ContainerId
    latest: asyncio.Queue[Usage | None] = field(default_factory=lambda: asyncio.Queue(maxsize=1))

    def tell(self, usage: Usage | None) -> None:
        if self.latest.full():
            self.latest.get_nowait()
        self.latest.put_nowait(usage)


class StatsCollector:
    """Reads for everybody who watches."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        layout: CgroupLayout,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._records = records
        self._layout = layout
        self._offload = offload
        self._clock = clock
        self._watchers: set[_Watcher] = set()
        self._rounds: asyncio.Task[None] | None = None
        self._places: dict[ContainerId, UsagePlaces] = {}

    async def once(self, reference: str) -> UsageSample:
        """One sample, with nothing before it. Raises: ContainerNotFound."""
        container = self._records.find(reference)
        usage = await self._offload(self._read_one, container)
        return UsageSample(container_id=container.id, name=container.name, now=usage)

    async def watch(self, reference: str) -> AsyncIterator[UsageSample]:
        """A sample now and then each second, until the container is removed.

        Raises: ContainerNotFound, before the first sample.
        """
        container = self._records.find(reference)
        first = await self._offload(self._read_one, container)
        return self._samples(container.id, first)

    async def close(self) -> None:
        """Stop reading; watchers wait for nothing any more."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.gather(self._rounds, return_exceptions=True)

    async def _samples(
        self, container_id: ContainerId, usage: Usage | None
    ) -> AsyncIterator[UsageSample]:
        before: Usage | None = None
        watcher = _Watcher(container_id)
        self._watchers.add(watcher)
        self._go_round()
        try:
            while (container := self._records.get(container_id)) is not None:
                yield UsageSample(
                    container_id=container_id, name=container.name, now=usage, before=before
                )
                before = usage
                usage = await watcher.latest.get()
        finally:
            self._watchers.discard(watcher)

    # -- the rounds --------------------------------------------------------------------------

    def _go_round(self) -> None:
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.get_running_loop().create_task(self._rounds_while_watched())

    async def _rounds_while_watched(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._watchers:
            due = max(due + INTERVAL_S, loop.time())
            await asyncio.sleep(due - loop.time())
            wanted = {each.container_id for each in self._watchers}
            containers = [each for each in map(self._records.get, wanted) if each is not None]
            usages = await self._offload(self._read_all, containers)
            for watcher in self._watchers:
                watcher.tell(usages.get(watcher.container_id))
        self._places.clear()

    def _read_all(self, containers: list[Container]) -> dict[ContainerId, Usage]:
        machine, now_ns = read_machine_time(), self._clock.now_ns()
        return {
            each.id: read_usage(self._places_of(each), machine, now_ns)
            for each in containers
            if each.is_alive
        }

    def _read_one(self, container: Container) -> Usage | None:
        return self._read_all([container]).get(container.id)

    def _places_of(self, container: Container) -> UsagePlaces:
        known = self._places.get(container.id)
        pid = container.status.pid
        if known is not None and known.process == pid:
            return known
        places = UsagePlaces(
            directories=cgroup_directories(container, self._layout),
            is_unified=self._layout.is_unified,
            process=pid,
            has_network=container.spec.network.mode.kind is not NetworkModeKind.HOST,
        )
        if self._watchers:
            self._places[container.id] = places
        return places
