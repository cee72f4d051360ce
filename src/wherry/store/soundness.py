"""Whether a database is what it should be: its pages, its references, its tables, its age.

SQLite notices damage when it comes across it, and takes an empty file for an empty database and a
log that is cut short for a shorter history. So a boot looks at all of it (some milliseconds for
a thousand containers), and compares the number of commits with that of the copy: a database
that is older than its own copy has lost something.
"""

import contextlib
import sqlite3
from collections.abc import Sequence

from wherry.store.migrations import Migration, migrate

_DAMAGE = frozenset({
    sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH,
})  # fmt: skip
"""Primary result codes that are about the file; others are about its disk (sqlite.org/rescode)."""

_VERSIONS = "SELECT room, version FROM schema_versions"


class Damaged(Exception):
    """A database can't be used as it is."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error tells of damage and not of a disk that is full or can't be written."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def check_pages(connection: sqlite3.Connection) -> None:
    """Look at every page. Raises: Damaged; sqlite3.DatabaseError."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise Damaged(found)


def check_rows(connection: sqlite3.Connection) -> None:
    """Look for rows that refer to nothing. Raises: Damaged; sqlite3.DatabaseError."""
    for table, _row, other, _number in connection.execute("PRAGMA foreign_key_check"):
        raise Damaged(f"a row of {table} speaks of one of {other} that is not there")


def check_tables(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Compare the tables with what their version numbers promise, before anybody migrates them.

    A newer program may have added some, and changed those of rooms that it has migrated.
    Raises: Damaged.
    """
    present = _columns(connection)
    versions = (
        dict(connection.execute(_VERSIONS)) if ("schema_versions", "room") in present else {}
    )
    newest = {each.room: each.number for each in sorted(migrations, key=lambda each: each.number)}
    migrations = [each for each in migrations if versions.get(each.room, 0) <= newest[each.room]]
    promised = _columns_after(
        [each for each in migrations if each.number <= versions.get(each.room, 0)]
    )
    for table, column in sorted(promised - present):
        if versions or table != "schema_versions":
            raise Damaged(f"there is no column {column} in a table {table}")
    early = _tables(_columns_after(migrations)) - _tables(promised)
    for table in sorted(early & _tables(present)):
        raise Damaged(f"there is a table {table} that nobody has made")


def _columns_after(migrations: Sequence[Migration]) -> set[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        migrate(empty, migrations)
        return _columns(empty)


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Table and column, of each."""
    return set(
        connection.execute(
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables"
            " JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
        )
    )


def _tables(columns: set[tuple[str, str]]) -> set[str]:
    return {table for table, _column in columns}
