"""A database that can't be used is set aside, and made again: of its copy, or of what is left.

Nothing is thrown away. As long as the file that was set aside is there, no boot removes what no
row speaks of, because the row may be what was lost.
"""

import contextlib
import glob
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator

from wherry.kit.atomic_files import sync_directory
from wherry.store.safe_copy import SafeCopy
from wherry.store.soundness import Damaged

_FACTS = frozenset({"store_facts", "schema_versions"})


def set_aside(path: str) -> str:
    """Move a database out of the way, with its log; where it is now. Raises: OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = f"{path}.damaged-{stamp}"
    for ending in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + ending, aside + ending)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}-shm")
    # Also of a file that was not there: it says that something is missing.
    os.close(os.open(aside, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    sync_directory(os.path.dirname(path) or ".")
    return aside


def files_aside(path: str) -> list[str]:
    """What was set aside of a database and not removed since."""
    found = glob.glob(f"{glob.escape(path)}.damaged-*")
    return sorted(each for each in found if not each.endswith(("-wal", "-shm")))


def restored(path: str, copy: SafeCopy) -> bool:
    """Put the copy in the database's place; False when there is none that is whole."""
    try:
        if copy.commits() is None:
            return False
    except Damaged:
        return False
    shutil.copy(copy.path, path)
    os.chmod(path, 0o600)
    return True


def salvage(aside: str, target: sqlite3.Connection) -> int:
    """Bring every row that can still be read into an empty database; how many. Never raises."""
    saved = 0
    with contextlib.suppress(sqlite3.Error):
        source = sqlite3.connect(aside, isolation_level=None)
        tables = [
            name
            for (name,) in target.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if name not in _FACTS
        ]
        for table in tables:
            saved += sum(_copied(table, row, target) for row in _readable(source, table))
        source.close()
    for broken in target.execute("PRAGMA foreign_key_check").fetchall():
        target.execute(f"DELETE FROM {broken[0]} WHERE rowid = ?", (broken[1],))
    return saved


def _readable(source: sqlite3.Connection, table: str) -> Iterator[sqlite3.Row]:
    source.row_factory = sqlite3.Row
    with contextlib.suppress(sqlite3.Error):
        yield from source.execute(f"SELECT * FROM {table}")


def _copied(table: str, row: sqlite3.Row, target: sqlite3.Connection) -> bool:
    names, places = ", ".join(row.keys()), ", ".join("?" * len(row))
    try:
        target.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(row))
    except sqlite3.Error:
        return False
    return True
