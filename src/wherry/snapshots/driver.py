"""The snapshot drivers by their names."""

import os
from collections.abc import Mapping

from wherry.kit.byte_sizes import parse_size
from wherry.model.errors import StateUnreadable
from wherry.snapshots.overlay import Snapshots
from wherry.store import Database

DRIVERS = ("overlay2", "btrfs", "devicemapper", "fuse-overlayfs", "vfs")
"""Names of directories in the data root."""

_REMOVED = ("aufs", "overlay")
"""What Docker had once, and nobody should want."""


def refuse_driver(driver: str, options: Mapping[str, str]) -> None:
    """Refuse a driver that is not here, or options that it has not, in Docker's words.

    Raises: ValueError.
    """
    if driver == "devicemapper":
        from wherry.snapshots.thin_pool import PoolOptions

        PoolOptions.read(options)
        return
    if driver in DRIVERS:
        _bound_of(driver, options)
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


def open_snapshots(
    driver: str, data_root: str, database: Database, options: Mapping[str, str] | None = None
) -> Snapshots:
    """The snapshots of a data root, kept by one driver, with options of its own.

    The rows of the layers speak of one driver's directories.
    Raises: StateUnreadable for a data root of another driver, or one that the driver can't use;
    ValueError for an unknown driver.
    """
    refuse_driver(driver, options or {})
    others = [each for each in DRIVERS if each != driver and os.path.isdir(f"{data_root}/{each}")]
    if others:
        raise StateUnreadable(
            data_root,
            f"it was made by the storage driver {others[0]}: use that one, or another data root",
        )
    match driver:  # Each is in memory only where it is wanted.
        case "vfs":
            from wherry.snapshots.vfs import VfsSnapshots

            return VfsSnapshots(data_root, database)
        case "btrfs":
            from wherry.snapshots.btrfs import BtrfsSnapshots

            return BtrfsSnapshots(data_root, database)
        case "fuse-overlayfs":
            from wherry.snapshots.fuse_overlay import FuseOverlaySnapshots

            return FuseOverlaySnapshots(data_root, database)
        case "devicemapper":
            from wherry.snapshots.devicemapper import DeviceMapperSnapshots

            return DeviceMapperSnapshots(data_root, database, options)
        case _:
            bound_bytes = _bound_of(driver, options or {})
            return Snapshots(data_root, database, bound_bytes=bound_bytes)


def _bound_of(driver: str, options: Mapping[str, str]) -> int:
    """What a container may write that asks for no bound; 0: all. Raises: ValueError."""
    bound_bytes = 0
    for name, value in options.items():
        if (driver, name) != ("overlay2", "overlay2.size"):
            raise ValueError(f"{driver}: unknown option {name}")
        bound_bytes = parse_size(value)
    return bound_bytes
