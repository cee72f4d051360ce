"""The snapshot drivers by their names."""

import os

from wherry.model.errors import StateUnreadable
from wherry.snapshots.overlay import Snapshots
from wherry.store import Database

DRIVERS = ("overlay2", "vfs")
"""Names of directories in the data root."""


def open_snapshots(driver: str, data_root: str, database: Database) -> Snapshots:
    """The snapshots of a data root, kept by one driver.

    The rows of the layers speak of one driver's directories.
    Raises: StateUnreadable for a data root of another driver; ValueError for an unknown driver.
    """
    others = [each for each in DRIVERS if each != driver and os.path.isdir(f"{data_root}/{each}")]
    if others:
        raise StateUnreadable(
            data_root,
            f"it was made by the storage driver {others[0]}: use that one, or another data root",
        )
    if driver == "vfs":
        from wherry.snapshots.vfs import VfsSnapshots  # seldom wanted: not in memory before

        return VfsSnapshots(data_root, database)
    if driver != "overlay2":
        raise ValueError(f"no snapshot driver {driver!r}: choose from {', '.join(DRIVERS)}")
    return Snapshots(data_root, database)
