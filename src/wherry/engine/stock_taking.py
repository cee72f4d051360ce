"""What is on disk, compared with the records: what is to be there, and what is nobody's."""

import logging
from collections.abc import Set

from wherry.engine.containers.image_mounts import snapshots_of
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.directories import remove_directory
from wherry.model.ids import ContainerId, SnapshotKey
from wherry.snapshots import Snapshots
from wherry.store import Database

_log = logging.getLogger(__name__)


class StockTaking:
    """The files of containers at a boot, and the snapshots. All of it blocking."""

    def __init__(
        self,
        *,
        database: Database,
        records: ContainerRecords,
        snapshots: Snapshots,
        images: ImageStore,
        paths: ContainerPaths,
    ) -> None:
        self._database = database
        self._records = records
        self._snapshots = snapshots
        self._images = images
        self._paths = paths

    def expect_snapshots(self) -> None:
        """What each container writes to must stand on what its image says."""
        images = {each.id: each for each in self._images.list()}
        for container in self._records.all():
            image = images.get(container.image_id) if container.image_id else None
            if image is not None:
                self._snapshots.expect(SnapshotKey(container.id), image.chain_id)

    def sweep(self, running: Set[ContainerId]) -> None:
        """Remove what belongs to no record, and the bundles of what does not run.

        Where records were lost nothing is nobody's: then it all stays.
        """
        known = {each.id for each in self._records.all()}
        living = {key for each in self._records.all() for key in snapshots_of(each)}
        recorded, bundles = self._paths.containers_on_disk()
        if self._database.has_lost:
            _log.warning("boot.strangers_kept containers=%s", len(recorded - known))
            return
        unreadable = self._records.set_aside()
        known |= unreadable
        living |= {SnapshotKey(each) for each in unreadable}
        for stranger in recorded - known:
            try:
                remove_directory(self._paths.record_directory(stranger))
            except OSError as error:
                _log.warning("boot.files_left container=%s problem=%s", stranger, error)
        for ended in bundles - running - unreadable:
            self._paths.erase_bundle(ended)
        self._snapshots.sweep(living)
        self._images.sweep()
