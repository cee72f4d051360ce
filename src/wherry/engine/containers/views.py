"""A container's files as a descriptor, whether it runs or not.

Theory of operation. The spawner puts the files together (`shim.views`), and we get a detached
tree of mounts. A container that runs lends its own mounts. For one that does not, its layers are
mounted afresh: read-only, so that it may start while somebody still reads, or writable, and then
its lock is held until the writer has finished, because an upper directory must never be in two
overlays.

Under `userns-remap` a container that runs sees its files through the map of its user namespace,
so in its own mounts they belong to ids of the host. To be read, which should show the container's
ids, it is looked at as one that does not run, from its layers; to be written to, through its own
mounts, by somebody who knows the map.
"""

import os
import posixpath
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from wherry.engine.containers.volumes import mount_is_read_only, volume_names
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, OffloadPool
from wherry.kit.random_ids import new_id
from wherry.kit.values import dataclass
from wherry.model.containers import BindMount, Container, ImageMount, TmpfsMount, VolumeMount
from wherry.model.ids import SnapshotKey
from wherry.snapshots import Snapshots
from wherry.specgen import HostFacts, RemappedIds, is_remapped
from wherry.tasks import Tasks, ViewMount
from wherry.volumes import Volumes

_ENGINE_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class View:
    """A container and its files; the descriptor is closed with the view."""

    container: Container
    root: int
    ids: RemappedIds | None = None
    """Who its owners are on the host, where the view shows them by the host's numbers."""


class ContainerViews:
    """Opens views."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        snapshots: Snapshots,
        volumes: Volumes,
        tasks: Tasks,
        paths: ContainerPaths,
        host: HostFacts,
        offload: OffloadPool,
    ) -> None:
        self._host = host
        self._records = records
        self._locks = locks
        self._snapshots = snapshots
        self._volumes = volumes
        self._tasks = tasks
        self._paths = paths
        self._offload = offload

    @asynccontextmanager
    async def opened(
        self, reference: str, *, writes: bool = False, has_mounts: bool = True
    ) -> AsyncIterator[View]:
        """The files of a container, with what is mounted in it or without.

        Raises: ContainerNotFound, AmbiguousReference, StepFailed, VolumeNotFound.
        """
        container_id = self._records.find(reference).id
        async with AsyncExitStack() as open_until_done, AsyncExitStack() as open_for_now:
            await open_for_now.enter_async_context(self._locks.held(container_id))
            container = self._records.find(container_id)
            if has_mounts and not container.is_alive:
                await self._hold_volumes(container, open_until_done)
            is_mapped = container.is_alive and is_remapped(container.spec, self._host.remapped)
            root = await self._open(
                container, writes=writes, has_mounts=has_mounts, is_mapped=is_mapped
            )
            open_until_done.callback(os.close, root)
            if container.is_alive or not writes:
                await open_for_now.aclose()
            yield View(container, root, self._host.remapped if is_mapped and writes else None)

    async def _hold_volumes(self, container: Container, stack: AsyncExitStack) -> None:
        holder = f"view-{new_id()}"
        for name in volume_names(container.spec.mounts):
            stack.push_async_callback(self._offload, self._volumes.release, name, holder)
            await self._offload(self._volumes.hold, name, holder)

    async def _open(
        self, container: Container, *, writes: bool, has_mounts: bool, is_mapped: bool
    ) -> int:
        mounts = await self._offload(self._mounts, container) if has_mounts else []
        if container.is_alive and (writes or not is_mapped):
            return await self._tasks.open_view(container.status.pid, mounts)
        rootfs = self._snapshots.rootfs(SnapshotKey(container.id))
        return await self._tasks.open_view(rootfs, mounts, writes=writes)

    def _mounts(self, container: Container) -> list[ViewMount]:
        found = {each.destination: each for each in self._engine_files(container)}
        found |= {each.destination: each for each in self._own_mounts(container)}
        return list(found.values())

    def _engine_files(self, container: Container) -> Iterator[ViewMount]:
        directory = self._paths.record_directory(container.id)
        for place in _ENGINE_FILES:
            source = f"{directory}/{posixpath.basename(place)}"
            if os.path.exists(source):
                yield ViewMount(source=source, destination=place)

    def _own_mounts(self, container: Container) -> Iterator[ViewMount]:
        for mount in container.spec.mounts:
            match mount:
                case BindMount(source=source) if container.is_alive or os.path.exists(source):
                    yield ViewMount(
                        source=source,
                        destination=posixpath.normpath(mount.target),
                        is_read_only=mount.is_read_only,
                    )
                case VolumeMount():
                    yield ViewMount(
                        source=mount.source,
                        destination=posixpath.normpath(mount.target),
                        subpath=mount.subpath,
                        is_read_only=mount.is_read_only,
                    )
                case TmpfsMount() | ImageMount() if container.is_alive:
                    # It is lent by the container: nobody else has it.
                    yield ViewMount(
                        source="its own",
                        destination=posixpath.normpath(mount.target),
                        is_read_only=mount_is_read_only(mount),
                    )
                case _:
                    pass
