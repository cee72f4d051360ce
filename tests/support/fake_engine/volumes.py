"""Volumes of a fake engine, and what they were."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from support.fake_engine.state import SECOND
from wherry.model.errors import InvalidValue
from wherry.model.errors.volumes import VolumeNotFound, VolumeSnapshotNotFound
from wherry.model.files import Change
from wherry.model.queries import (
    Filters,
)
from wherry.model.volumes import (
    Consistency,
    SnapshotMethod,
    Volume,
    VolumePrune,
    VolumeSnapshot,
    VolumeSpec,
    VolumeUsage,
)
from wherry.snapshots import Compression


class FakeVolumes:
    """Volumes in a dictionary; nobody ever uses one."""

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}

    async def create(self, spec: VolumeSpec) -> Volume:
        made = Volume(
            name=spec.name or "0" * 64,
            driver=spec.driver or "local",
            mount_point=f"/var/lib/wherry/volumes/{spec.name}/_data",
            created_at_ns=1_700_000_000 * SECOND,
            options=spec.options,
            labels=spec.labels,
        )
        return self.volumes.setdefault(made.name, made)

    async def get(self, name: str) -> Volume:
        if name not in self.volumes:
            raise VolumeNotFound(name)
        return self.volumes[name]

    async def list(self, filters: Filters) -> Sequence[Volume]:
        unknown = filters.keys() - {"dangling", "driver", "label", "name"}
        if unknown:
            raise InvalidValue(f"invalid filter '{min(unknown)}'")
        return list(self.volumes.values())

    async def remove(self, name: str, *, is_forced: bool = False) -> None:
        if self.volumes.pop(name, None) is None and not is_forced:
            raise VolumeNotFound(name)

    async def prune(self, filters: Filters, *, takes_named: bool = False) -> VolumePrune:
        return VolumePrune()

    async def usage(self) -> Sequence[VolumeUsage]:
        return [VolumeUsage(volume=each, size_bytes=0, users=()) for each in self.volumes.values()]


class FakeVolumeHistory:
    """A history in which nothing ever happened."""

    def __init__(self, volumes: FakeVolumes) -> None:
        self._volumes = volumes

    async def list(self, name: str) -> Sequence[VolumeSnapshot]:
        await self._volumes.get(name)
        return []

    async def take(self, name: str, label: str, consistency: Consistency) -> VolumeSnapshot:
        await self._volumes.get(name)
        return VolumeSnapshot(
            volume=name, name=label or "now", created_at_ns=1_700_000_000 * SECOND,
            method=SnapshotMethod.COPY, consistency=consistency,
        )  # fmt: skip

    async def forget(self, name: str, label: str) -> None:
        raise VolumeSnapshotNotFound(name, label)

    async def roll_back(self, name: str, label: str, *, restarts: bool) -> VolumeSnapshot:
        raise VolumeSnapshotNotFound(name, label)

    async def clone(self, name: str, label: str, new_name: str) -> Volume:
        await self._volumes.get(name)
        return await self._volumes.create(VolumeSpec(name=new_name))

    async def rename(self, name: str, new_name: str) -> Volume:
        await self._volumes.remove(name)
        return await self._volumes.create(VolumeSpec(name=new_name))

    async def changes(self, name: str, older: str, newer: str) -> Sequence[Change]:
        await self._volumes.get(name)
        return []

    async def export(
        self, name: str, label: str, compression: Compression
    ) -> AsyncGenerator[bytes, None]:
        await self._volumes.get(name)
        return self._pieces()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        yield b""

    async def import_archive(
        self, name: str, archive: AsyncIterator[bytes], *, replaces: bool, takes_devices: bool
    ) -> Volume:
        async for _piece in archive:
            pass
        return await self._volumes.create(VolumeSpec(name=name))
