"""The snapshot drivers by their names."""

import os

from wherry.model.errors import StateUnreadable
from wherry.snapshots.overlay import Snapshots
from wherry.store import Database

DRIVERS = ("overlay2", "btrfs", "fuse-overlayfs", "vfs")
"""Names of directories in the data root."""

_REMOVED = ("aufs", "devicemapper", "overlay")
"""What Docker had once."""


def refuse_driver(driver: str) -> None:
    """Refuse a driver that is not here, in Docker's words. Raises: ValueError."""
    if driver in DRIVERS:
        return
    told = "driver not supported"
    if driver in _REMOVED:
        told = (
            f"[graphdriver] ERROR: the {driver} storage-driver has been deprecated and removed; "
            "visit https://docs.docker.com/go/storage-driver/ for more information"
        )
    elif driver == "zfs":
        told = "prerequisites for driver not satisfied (wrong filesystem?)"
    raise ValueError(
        f"error initializing graphdriver: {told}: {driver} (there are {', '.join(DRIVERS)})"
    )


def open_snapshots(driver: str, data_root: str, database: Database) -> Snapshots:
    """The snapshots of a data root, kept by one driver.

    The rows of the layers speak of one driver's directories.
    Raises: StateUnreadable for a data root of another driver, or one that the driver can't use;
    ValueError for an unknown driver.
    """
    refuse_driver(driver)
    others = [each for each in DRIVERS if each != driver and os.path.isdir(f"{data_root}/{each}")]
    if others:
        raise StateUnreadable(
            data_root,
            f"it was made by the storage driver {others[0]}: use that one, or another data root",
        )
    if driver == "vfs":
        from wherry.snapshots.vfs import VfsSnapshots  # seldom wanted: not in memory before

        return VfsSnapshots(data_root, database)
    if driver == "btrfs":
        from wherry.snapshots.btrfs import BtrfsSnapshots

        return BtrfsSnapshots(data_root, database)
    if driver == "fuse-overlayfs":
        from wherry.snapshots.fuse_overlay import FuseOverlaySnapshots

        return FuseOverlaySnapshots(data_root, database)
    return Snapshots(data_root, database)
