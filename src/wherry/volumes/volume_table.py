"""Which volumes there are: rows, and all of them in memory.

A row is written when the volume's directory is there, and removed before the directory is; so
after a power cut a directory may be nobody's, and a row is never without its directory.
"""

from collections.abc import Mapping

import msgspec

from wherry.model.errors import StateUnreadable
from wherry.model.volumes import Volume
from wherry.store import Database, Migration

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
)


class VolumeTable:
    """Every volume by name. Changes may come from any thread, one at a time."""

    def __init__(self, database: Database) -> None:
        """Reads all rows. Raises: StateUnreadable for a newer or damaged row."""
        self._database = database
        self._volumes: dict[str, Volume] = {}
        with database.reading() as rows:
            found = rows.execute("SELECT name, version, record FROM volumes").fetchall()
        for name, version, record in found:
            if version > ROW_VERSION:
                raise StateUnreadable(f"volume {name}", f"row version {version}")
            try:
                self._volumes[name] = msgspec.json.decode(record, type=Volume)
            except msgspec.MsgspecError as error:
                raise StateUnreadable(f"volume {name}", str(error)) from error

    def all(self) -> Mapping[str, Volume]:
        """Every volume; a copy."""
        return dict(self._volumes)

    def get(self, name: str) -> Volume | None:
        """The volume of a name."""
        return self._volumes.get(name)

    def add(self, volume: Volume) -> None:
        """Record a volume."""
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT INTO volumes VALUES (?, ?, ?) ON CONFLICT (name)"
                " DO UPDATE SET version = excluded.version, record = excluded.record",
                (volume.name, ROW_VERSION, msgspec.json.encode(volume)),
            )
        self._volumes[volume.name] = volume

    def remove(self, name: str) -> None:
        """Forget a volume."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM volumes WHERE name = ?", (name,))
        del self._volumes[name]
