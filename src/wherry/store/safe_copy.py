"""A second file with the same rows, a few seconds old: what a damaged database is made of again.

It is written beside the database by SQLite's own backup, flushed, and renamed into its place, so
that it is whole whenever it is there. Both files count the commits that they know of.
"""

import contextlib
import os
import sqlite3
from collections.abc import Mapping

from wherry.kit.atomic_files import sync_directory
from wherry.store.soundness import Damaged, check_pages


class SafeCopy:
    """The copy of one database."""

    def __init__(self, path: str) -> None:
        self.path = f"{path}.copy"

    def commits(self) -> int | None:
        """How many commits it knows of; None when it isn't there. Raises: Damaged."""
        if not os.path.exists(self.path):
            return None
        try:
            with contextlib.closing(_opened(self.path)) as copy:
                check_pages(copy)
                return counted_commits(copy)
        except sqlite3.DatabaseError as error:
            raise Damaged(str(error)) from error

    def write(self, source: sqlite3.Connection) -> None:
        """Make it anew, durably. Raises: OSError, sqlite3.Error; then the old one stays."""
        coming = f"{self.path}.new"
        try:
            os.close(os.open(coming, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            with contextlib.closing(sqlite3.connect(coming, isolation_level=None)) as target:
                target.execute("PRAGMA synchronous = OFF")
                source.backup(target)
                # One file: no log beside it, and none when it is read.
                target.execute("PRAGMA journal_mode = DELETE")
            _flush(coming)
            os.rename(coming, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(coming)
            raise
        sync_directory(os.path.dirname(self.path) or ".")

    def record(self, table: str, key: Mapping[str, str]) -> bytes | None:
        """The record of a row as it was; None when there is none. Names are our own words."""
        same = " AND ".join(f"{column} = ?" for column in key)
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(self.path)) as copy:
            found = copy.execute(
                f"SELECT record FROM {table} WHERE {same}", tuple(key.values())
            ).fetchone()
            return None if found is None else bytes(found[0])
        return None


def counted_commits(connection: sqlite3.Connection) -> int:
    """What a database says of itself; 0 for one that doesn't. Raises: sqlite3.Error."""
    row = connection.execute("SELECT value FROM store_facts WHERE name = 'commits'").fetchone()
    return int(row[0]) if row is not None and str(row[0]).isdecimal() else 0


def _opened(path: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, isolation_level=None)


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
