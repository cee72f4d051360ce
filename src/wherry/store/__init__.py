"""The engine's database: one SQLite file, transactions, numbered migrations.

I own: opening the file safely, one writer at a time, the order of migrations, and the table
that says which room is at which version. Each other table belongs to the room that made it.
I never: know what a row means.
On disk I leave: `engine.db` with its `-wal` and `-shm`, `engine.db.copy`, and what was damaged, as
`engine.db.damaged-TIME`; mode 0600.
Called by: programs (opens it), and the rooms that keep rows: engine, builder, images, snapshots,
networks, volumes.
"""

from wherry.store.damages import Damage, Damages
from wherry.store.database import Database, boot_id
from wherry.store.migrations import Migration
from wherry.store.records import keys_aside, read_records

__all__ = [
    "Damage",
    "Damages",
    "Database",
    "Migration",
    "boot_id",
    "keys_aside",
    "read_records",
]
