"""What a container has on disk: a directory of its own, and snapshots. All of it blocking."""

import os
import shutil

from wherry.engine.containers.image_mounts import mount_images, snapshots_of
from wherry.engine.containers.removed_logs import RemovedLogs
from wherry.engine.paths import ContainerPaths
from wherry.images import ImageStore
from wherry.kit.directories import remove_directory
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.ids import ContainerId, SnapshotKey
from wherry.model.images import Image
from wherry.oci.runtime_spec import RootfsMount
from wherry.operations.journal_files import write_journal
from wherry.snapshots import Snapshots


class ContainerDisk:
    """Makes it, and erases it."""

    def __init__(
        self,
        *,
        images: ImageStore,
        snapshots: Snapshots,
        removed_logs: RemovedLogs,
        paths: ContainerPaths,
    ) -> None:
        self._images = images
        self._snapshots = snapshots
        self._removed_logs = removed_logs
        self._paths = paths

    def prepare(self, container: Container, image: Image) -> Container:
        """Its directory and snapshots; returns the container with what is mounted in it."""
        os.makedirs(self._paths.record_directory(container.id), mode=0o700)
        done = self._snapshots.prepare(
            SnapshotKey(container.id), image.chain_id, options=container.spec.storage_options
        )
        write_journal(self._paths.snapshot_journal(container.id), done)
        if not container.spec.mounts:
            return container
        spec = mount_images(container.spec, container.id, self._images, self._snapshots)
        return replace(container, spec=spec)

    def rootfs(self, container_id: ContainerId) -> RootfsMount:
        """How its root is mounted."""
        return self._snapshots.rootfs(SnapshotKey(container_id))

    def take_back(self, container_id: ContainerId) -> None:
        """Of a container that will not be after all, as far as it was made."""
        made = self._snapshots.keys()
        for key in made:
            if key.startswith(container_id):
                self._snapshots.remove(key)
        shutil.rmtree(self._paths.record_directory(container_id), ignore_errors=True)

    def erase(self, container: Container) -> None:
        """Of a container that was removed; its log is kept for a while, where that is wished."""
        self._removed_logs.keep(container, self._paths.log(container.id))
        for key in snapshots_of(container):
            self._snapshots.remove(key)
        remove_directory(self._paths.record_directory(container.id))
