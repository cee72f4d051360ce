"""The table of managed plugins, known to the database before anybody wants one."""

from wherry.store import Migration

ROW_VERSION = 1
MIGRATIONS = (
    Migration(
        room="plugins",
        number=1,
        sql="""
        CREATE TABLE plugins (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            version INTEGER NOT NULL,
            record BLOB NOT NULL
        ) STRICT;
        """,
    ),
)
