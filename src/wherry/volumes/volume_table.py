"""Which volumes and snapshots there are: rows, and all volumes in memory.

A volume's row is written when its directory is there, and removed before the directory is: a row
is never without its directory, and one that is empty and has no row goes at boot.

What takes several steps is noted before the first one and forgotten with the last: a tree that
is being made or removed (`volume_trees`), a rename (`volume_renames`). Boot removes the one and
finishes the other.
"""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from wherry.kit.values import replace
from wherry.model.errors.volumes import VolumeNotFound
from wherry.model.volumes import Volume, VolumeSnapshot
from wherry.store import Database, Migration, read_records

ROW_VERSION = 1
MIGRATIONS = (
    Migration(
        room="volumes",
        number=1,
        sql="""
        CREATE TABLE volumes (
            name TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            record BLOB NOT NULL
        ) STRICT;
        """,
    ),
    Migration(
        room="volumes",
        number=2,
        sql="""
        CREATE TABLE volume_snapshots (
            volume TEXT NOT NULL REFERENCES volumes (name) ON UPDATE CASCADE ON DELETE CASCADE,
            name TEXT NOT NULL,
            version INTEGER NOT NULL,
            is_pending INTEGER NOT NULL,
            record BLOB NOT NULL,
            PRIMARY KEY (volume, name)
        ) STRICT;
        CREATE TABLE volume_trees (path TEXT PRIMARY KEY) STRICT;
        CREATE TABLE volume_renames (old TEXT PRIMARY KEY, new TEXT NOT NULL UNIQUE) STRICT;
        """,
    ),
)


class VolumeTable:
    """Every volume by name. Changes may come from any thread, one at a time."""

    def __init__(self, database: Database) -> None:
        """Reads all rows. Raises: StateUnreadable for a newer one."""
        self._database = database
        self._volumes = dict(read_records(database, "volumes", Volume, version=ROW_VERSION))

    # -- volumes -----------------------------------------------------------------------------

    def all(self) -> Mapping[str, Volume]:
        """Every volume; a copy."""
        return dict(self._volumes)

    def get(self, name: str) -> Volume | None:
        """The volume of a name."""
        return self._volumes.get(name)

    def require(self, name: str) -> Volume:
        """The volume of a name. Raises: VolumeNotFound."""
        volume = self._volumes.get(name)
        if volume is None:
            raise VolumeNotFound(name)
        return volume

    def add(self, volume: Volume, *, tree: str = "") -> None:
        """Record a volume; `tree` is where its files were made, which is settled with it."""
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT INTO volumes VALUES (?, ?, ?) ON CONFLICT (name)"
                " DO UPDATE SET version = excluded.version, record = excluded.record",
                (volume.name, ROW_VERSION, msgspec.json.encode(volume)),
            )
            _settle_tree(rows, tree)
        self._volumes[volume.name] = volume

    def remove(self, name: str, *, tree: str = "") -> None:
        """Forget a volume, and its snapshots with it; its `tree` is nobody's from here on."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM volumes WHERE name = ?", (name,))
            if tree:
                rows.execute("INSERT OR IGNORE INTO volume_trees VALUES (?)", (tree,))
        del self._volumes[name]

    # -- snapshots ---------------------------------------------------------------------------

    def snapshots(self, volume: str, *, pending: bool = False) -> Sequence[VolumeSnapshot]:
        """A volume's snapshots, oldest first; the pending ones are those of a broken rollback.

        Raises: StateUnreadable.
        """
        found = read_records(
            self._database,
            "volume_snapshots",
            VolumeSnapshot,
            version=ROW_VERSION,
            where={"volume": volume, "is_pending": pending},
        )
        # The record keeps the name that the volume had when it was written.
        named = [replace(snapshot, volume=volume) for _name, snapshot in found]
        return sorted(named, key=lambda each: each.created_at_ns)

    def add_snapshot(
        self, snapshot: VolumeSnapshot, *, pending: bool = False, tree: str = ""
    ) -> None:
        """Record a snapshot; `tree` is what was made for it, which is settled with it."""
        row = (
            snapshot.volume, snapshot.name, ROW_VERSION, pending, msgspec.json.encode(snapshot),
        )  # fmt: skip
        with self._database.transaction() as rows:
            rows.execute("INSERT OR REPLACE INTO volume_snapshots VALUES (?, ?, ?, ?, ?)", row)
            _settle_tree(rows, tree)

    def remove_snapshot(self, snapshot: VolumeSnapshot, *, tree: str) -> None:
        """Forget a snapshot; its tree is nobody's from here on."""
        with self._database.transaction() as rows:
            rows.execute(
                "DELETE FROM volume_snapshots WHERE volume = ? AND name = ?",
                (snapshot.volume, snapshot.name),
            )
            rows.execute("INSERT OR IGNORE INTO volume_trees VALUES (?)", (tree,))

    # -- what takes several steps ------------------------------------------------------------

    def note_tree(self, path: str) -> None:
        """A tree is going to be made, that is nobody's until a row says otherwise."""
        with self._database.transaction() as rows:
            rows.execute("INSERT OR IGNORE INTO volume_trees VALUES (?)", (path,))

    def settle_tree(self, path: str) -> None:
        """It is gone, or in its place."""
        with self._database.transaction() as rows:
            _settle_tree(rows, path)

    def unsettled_trees(self) -> Sequence[str]:
        """Trees that were being made or removed when the engine ended."""
        with self._database.reading() as rows:
            return [path for (path,) in rows.execute("SELECT path FROM volume_trees").fetchall()]

    def begin_rename(self, old: str, new: str) -> None:
        """From here on a boot finishes the rename."""
        with self._database.transaction() as rows:
            rows.execute("INSERT INTO volume_renames VALUES (?, ?)", (old, new))

    def rename(self, volume: Volume, old: str) -> None:
        """The volume has its new name, and so have its snapshots."""
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE volumes SET name = ?, version = ?, record = ? WHERE name = ?",
                (volume.name, ROW_VERSION, msgspec.json.encode(volume), old),
            )
        del self._volumes[old]
        self._volumes[volume.name] = volume

    def end_rename(self, old: str) -> None:
        """All who refer to it know the new name, or the rename was given up."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM volume_renames WHERE old = ?", (old,))

    def renames(self) -> Mapping[str, str]:
        """The renames that are not ended, old names to new ones."""
        with self._database.reading() as rows:
            return dict(rows.execute("SELECT old, new FROM volume_renames").fetchall())


def _settle_tree(rows: sqlite3.Connection, path: str) -> None:
    if path:
        rows.execute("DELETE FROM volume_trees WHERE path = ?", (path,))
