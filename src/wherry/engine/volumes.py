"""Volumes as a user sees them: made, listed, pruned, and who has them."""

from collections.abc import Sequence

from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.events import EventLog
from wherry.engine.filters import FilterReader
from wherry.kit.aio import OffloadPool
from wherry.model.errors.volumes import VolumeInUse, VolumeNotFound
from wherry.model.queries import Filters
from wherry.model.volumes import Volume, VolumePrune, VolumeSpec, VolumeUsage
from wherry.volumes import Volumes

LIST_FILTERS = frozenset({"dangling", "driver", "label", "name"})
PRUNE_FILTERS = frozenset({"all", "label", "label!"})


class VolumeVerbs:
    """The verbs on volumes."""

    def __init__(
        self, *, volumes: Volumes, users: ContainerVolumes, events: EventLog, offload: OffloadPool
    ) -> None:
        self._volumes = volumes
        self._users = users
        self._events = events
        self._offload = offload

    async def create(self, spec: VolumeSpec) -> Volume:
        """Make a volume, or find the one of this name. Raises: as `Volumes.make`."""
        return await self._users.make(spec)

    async def get(self, name: str) -> Volume:
        """One volume. Raises: VolumeNotFound."""
        return await self._offload(self._volumes.described, name)

    async def list(self, filters: Filters) -> Sequence[Volume]:
        """Volumes that match, by name. Raises: InvalidValue for a key or value."""
        given = FilterReader(filters, LIST_FILTERS)
        dangling = given.claim("dangling")
        names = given.patterns("name")
        return [
            each
            for each in await self._offload(self._volumes.everywhere)
            if (dangling is None or dangling is not self._users.is_in_use(each.name))
            and ("driver" not in given or each.driver in given.values("driver"))
            and ("name" not in given or any(name.search(each.name) for name in names))
            and given.labels_match(each.labels)
        ]

    async def remove(self, name: str, *, is_forced: bool = False) -> None:
        """Remove a volume that no container has; by force, one that isn't there is fine.

        Raises: VolumeNotFound, VolumeInUse.
        """
        try:
            await self._users.remove(name)
        except VolumeNotFound:
            if not is_forced:
                raise

    async def prune(self, filters: Filters, *, takes_named: bool = False) -> VolumePrune:
        """Remove what no container has: anonymous volumes, with `all` the named ones too.

        `takes_named` is what a client of an API before 1.42 means without saying so.

        Raises: InvalidValue for a key or value.
        """
        given = FilterReader(filters, PRUNE_FILTERS)
        takes_all = takes_named or bool(given.claim("all"))
        deleted, reclaimed = [], 0
        for volume in self._volumes.all():
            if self._users.is_in_use(volume.name) or not (takes_all or volume.is_anonymous):
                continue
            if not given.labels_match(volume.labels):
                continue
            size = await self._offload(self._volumes.size_of, volume)
            try:
                await self._users.remove(volume.name)
            except (VolumeInUse, VolumeNotFound):
                continue  # somebody was quicker
            deleted.append(volume.name)
            reclaimed += max(0, size)
        self._events.publish("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return VolumePrune(deleted=tuple(deleted), reclaimed_bytes=reclaimed)

    async def usage(self) -> Sequence[VolumeUsage]:
        """Every volume with what it holds and who has it."""
        return [
            VolumeUsage(
                volume=volume,
                size_bytes=await self._offload(self._volumes.size_of, volume),
                users=self._users.users_of(volume.name),
            )
            for volume in self._volumes.all()
        ]
