"""The history of volumes as a user asks for it: what containers do meanwhile, and who is told.

A snapshot of btrfs is of one moment. A copy is not: while containers write, one file may be older
than another. So a snapshot may ask that they are paused or stopped meanwhile, and its record
says who went on writing. A frozen process has what it had in memory and never wrote: after a
pause a volume is as after a power cut, after a stop as its programs leave it.

Nothing is put in the place of what a container has mounted: it would go on with the old files.
A rollback refuses then, or restarts those containers if asked to.

Lock order: volumes' locks by name, then those of its containers, by id.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.events import EventLog
from wherry.engine.volume_writers import VolumeWriters
from wherry.kit.aio import BlockingReader, KeyedLock, OffloadPool, UndoStack, written_in_thread
from wherry.model.errors import InvalidField
from wherry.model.errors.volumes import VolumeExists
from wherry.model.files import Change
from wherry.model.volumes import Consistency, Volume, VolumeSnapshot, VolumeSpec
from wherry.snapshots import Compression, PackedWriter, Writable
from wherry.volumes import Volumes


class VolumeHistory:
    """The verbs on what volumes were."""

    def __init__(
        self,
        *,
        volumes: Volumes,
        users: ContainerVolumes,
        container_locks: KeyedLock,
        writers: VolumeWriters,
        events: EventLog,
        offload: OffloadPool,
    ) -> None:
        self._volumes = volumes
        self._users = users
        self._container_locks = container_locks
        self._writers = writers
        self._events = events
        self._offload = offload
        self._locks = KeyedLock()

    # -- looking -----------------------------------------------------------------------------

    async def list(self, name: str) -> Sequence[VolumeSnapshot]:
        """A volume's snapshots, oldest first. Raises: VolumeNotFound, VolumeHasNoHistory."""
        return await self._offload(self._volumes.history.snapshots, name)

    async def changes(self, name: str, older: str, newer: str) -> Sequence[Change]:
        """What has changed from a snapshot to another one, or to the present.

        Without `older` it is the last one. Raises: as `list`; VolumeSnapshotNotFound.
        """
        async with self._held(name):
            if not older:
                taken = await self.list(name)
                if not taken:
                    raise InvalidField("from", older, f"volume {name} has no snapshot yet")
                older = taken[-1].name
            return await self._offload(self._volumes.history.changes, name, older, newer)

    async def export(
        self, name: str, label: str, compression: Compression
    ) -> AsyncGenerator[bytes, None]:
        """A snapshot or the present as a tar. Raises: as `changes`."""
        history = self._volumes.history
        await self._offload(history.place, name, label)

        def pack(out: Writable) -> None:
            if compression is Compression.NONE:
                history.pack(name, label, out)
                return
            packed = PackedWriter(out, compression)
            history.pack(name, label, packed)
            packed.close()

        async def content() -> AsyncGenerator[bytes, None]:
            async with self._held(name):
                async for piece in written_in_thread(self._offload, pack):
                    yield piece

        return content()

    # -- snapshots ---------------------------------------------------------------------------

    async def take(self, name: str, label: str, consistency: Consistency) -> VolumeSnapshot:
        """Keep how a volume is now.

        Raises: VolumeNotFound, VolumeHasNoHistory, InvalidValue, VolumeSnapshotExists,
        StepFailed.
        """
        history = self._volumes.history
        async with self._held(name):
            history.plain(name)
            label = await self._offload(history.free_label, name, label)
            async with self._writers.kept_off(name, consistency) as writers:
                taken = await self._offload(
                    history.take, name, label, consistency=consistency, writers=writers
                )
        self._tell("snapshot", name, snapshot=taken.name)
        return taken

    async def forget(self, name: str, label: str) -> None:
        """Remove a snapshot. Raises: as `changes`; StepFailed."""
        async with self._held(name):
            await self._offload(self._volumes.history.forget, name, label)
        self._tell("snapshot-remove", name, snapshot=label)

    async def roll_back(self, name: str, label: str, *, restarts: bool) -> VolumeSnapshot:
        """Let a volume be as it was; what it is now becomes a snapshot, which is returned.

        Raises: as `changes`; VolumeMounted by containers that run, unless they are restarted.
        """
        history = self._volumes.history
        async with self._held(name):
            if not restarts:
                self._volumes.refuse_mounted(name)
            aside = await self._offload(history.prepare_rollback, name, label)
            await self._put_in_place(aside, restarts=restarts)
        self._tell("rollback", name, snapshot=label)
        return aside

    # -- volumes from others -----------------------------------------------------------------

    async def clone(self, name: str, label: str, new_name: str) -> Volume:
        """A new volume like a snapshot, or like the present.

        Raises: as `changes`; InvalidValue, VolumeExists, StepFailed.
        """
        async with self._both_held(name, new_name):
            source = self._volumes.history.plain(name)
            self._volumes.check_new_name(new_name)
            spec = VolumeSpec(name=new_name, labels=source.labels)
            with self._users.kept(name):
                volume = await self._offload(self._volumes.history.clone, name, label, spec)
        self._tell("create", new_name)
        return volume

    async def import_archive(
        self,
        name: str,
        archive: AsyncIterator[bytes],
        *,
        replaces: bool,
        takes_devices: bool,
    ) -> Volume:
        """A new volume with the files of a tar; or an old one whose files these replace.

        Then the old ones become a snapshot. Raises: InvalidValue, VolumeExists, ArchiveRefused,
        StepFailed; VolumeMounted.
        """
        history = self._volumes.history
        async with self._locks.held(name):
            exists = any(each.name == name for each in self._volumes.all())
            if exists and not replaces:
                raise VolumeExists(name)
            reader = BlockingReader(archive, asyncio.get_running_loop())
            try:
                if not exists:
                    self._volumes.check_new_name(name)
                    volume = await self._offload(
                        history.make_of_archive,
                        VolumeSpec(name=name),
                        reader,
                        takes_devices=takes_devices,
                    )
                    self._tell("create", name)
                    return volume
                with self._users.kept(name):
                    self._volumes.refuse_mounted(name)
                    aside = await self._offload(
                        history.prepare_import, name, reader, takes_devices=takes_devices
                    )
                    await self._put_in_place(aside, restarts=False)
            finally:
                await reader.abandon()
        self._tell("import", name)
        return self._volumes.get(name)

    async def rename(self, name: str, new_name: str) -> Volume:
        """Give a volume another name; every container that has it follows, running or not.

        Raises: VolumeNotFound, VolumeHasNoHistory, InvalidValue, VolumeExists, VolumeInUse.
        """
        async with self._both_held(name, new_name) as held:
            self._volumes.history.plain(name)
            self._volumes.check_new_name(new_name)
            for container_id in sorted(self._users.users_of(name)):
                await held.enter_async_context(self._container_locks.held(container_id))
            volume = await self._users.rename(name, new_name)
        self._tell("rename", new_name, oldName=name)
        return volume

    # -- containers meanwhile ----------------------------------------------------------------

    @asynccontextmanager
    async def _held(self, name: str) -> AsyncIterator[None]:
        """One verb at a time on a volume, and nobody removes it. Raises: VolumeNotFound."""
        async with self._locks.held(name):
            self._volumes.get(name)
            with self._users.kept(name):
                yield

    @asynccontextmanager
    async def _both_held(self, name: str, new_name: str) -> AsyncIterator[AsyncExitStack]:
        """A volume, and a name that may be one too: in the same order for everybody."""
        async with AsyncExitStack() as held:
            for each in sorted({name, new_name}):
                await held.enter_async_context(self._locks.held(each))
            yield held

    async def _put_in_place(self, aside: VolumeSnapshot, *, restarts: bool) -> None:
        """What was prepared becomes the present, or is removed again."""
        async with UndoStack() as undo:
            undo.push(self._offload, self._volumes.history.discard_prepared, aside.volume)
            stopped = self._users.users_of(aside.volume) if restarts else ()
            async with self._writers.stopped(stopped):
                await self._offload(self._volumes.put_in_place, aside)
                undo.keep()

    def _tell(self, action: str, name: str, **attributes: str) -> None:
        self._events.publish("volume", action, name, {"driver": "local", **attributes})
