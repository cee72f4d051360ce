"""The engine's database."""

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from wherry.model.errors import StateUnreadable
from wherry.store import Database, Migration

ROOM = Migration(
    room="pets", number=1, sql="CREATE TABLE pets (name TEXT PRIMARY KEY, legs INTEGER) STRICT;"
)
WITH_OWNERS = Migration(
    room="pets",
    number=2,
    sql="CREATE TABLE owners (name TEXT PRIMARY KEY,\n pet TEXT REFERENCES pets (name)) STRICT;",
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a test's database is."""
    return str(tmp_path / "engine.db")


def test_committed_rows_are_there_after_reopening(path: str) -> None:
    """What a transaction wrote is read by the next program."""
    database = Database(path, [ROOM])
    with database.transaction() as rows:
        rows.execute("INSERT INTO pets VALUES ('tim', 4)")
    database.close()
    again = Database(path, [ROOM])
    with again.reading() as rows:
        assert rows.execute("SELECT * FROM pets").fetchall() == [("tim", 4)]
    again.close()


def test_a_failed_block_leaves_no_row(path: str) -> None:
    """An exception rolls everything back, and the next transaction works."""
    database = Database(path, [ROOM])
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as rows:
        rows.executemany("INSERT INTO pets VALUES (?, 4)", [("tim",), ("tim",)])
    with database.transaction() as rows:
        assert rows.execute("SELECT count(*) FROM pets").fetchone() == (0,)
    database.close()


def test_files_are_private(path: str) -> None:
    """Nobody but the owner may read the database, its log or its index."""
    database = Database(path, [ROOM])
    with database.transaction() as rows:
        rows.execute("INSERT INTO pets VALUES ('tim', 4)")
    modes = {
        name: stat.S_IMODE(os.stat(os.path.join(os.path.dirname(path), name)).st_mode)
        for name in os.listdir(os.path.dirname(path))
    }
    assert modes == {"engine.db": 0o600, "engine.db-wal": 0o600, "engine.db-shm": 0o600}
    database.close()


def test_commits_are_counted_and_durable_settings_hold(path: str) -> None:
    """Each committed transaction counts once; WAL, FULL and foreign keys are on."""
    database = Database(path, [ROOM])
    assert database.commits == 0
    with database.transaction() as rows:
        rows.execute("INSERT INTO pets VALUES ('tim', 4)")
        assert rows.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert rows.execute("PRAGMA synchronous").fetchone() == (2,)
        assert rows.execute("PRAGMA foreign_keys").fetchone() == (1,)
    with database.reading() as rows:
        rows.execute("SELECT 1").fetchone()
    assert database.commits == 1
    database.close()


def test_readers_see_one_moment_and_cannot_write(path: str) -> None:
    """A reader doesn't see what is committed after it began, and never changes a row."""
    database = Database(path, [ROOM])
    with database.reading() as reader:
        assert reader.execute("SELECT count(*) FROM pets").fetchone() == (0,)
        with database.transaction() as rows:
            rows.execute("INSERT INTO pets VALUES ('tim', 4)")
        assert reader.execute("SELECT count(*) FROM pets").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError):
            reader.execute("DELETE FROM pets")
    with database.reading() as reader:
        assert reader.execute("SELECT count(*) FROM pets").fetchone() == (1,)
    database.close()


def test_threads_take_turns(path: str) -> None:
    """Transactions of many threads neither collide nor lose a row."""
    database = Database(path, [ROOM])

    def write(first: int) -> None:
        for number in range(first, first + 10):
            with database.transaction() as rows:
                rows.execute("INSERT INTO pets VALUES (?, 4)", (str(number),))

    threads = [threading.Thread(target=write, args=(10 * each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as rows:
        assert rows.execute("SELECT count(*) FROM pets").fetchone() == (80,)
    assert database.commits == 80
    database.close()


def test_a_nested_transaction_is_refused(path: str) -> None:
    """It would wait for itself for ever."""
    database = Database(path, [ROOM])
    with pytest.raises(RuntimeError), database.transaction(), database.transaction():
        pass
    database.close()


def test_new_migrations_are_applied_once(path: str) -> None:
    """A newer program adds its steps to the file of an older one."""
    Database(path, [ROOM]).close()
    for _ in range(2):
        database = Database(path, [ROOM, WITH_OWNERS])
        with database.reading() as rows:
            versions = rows.execute(
                "SELECT version, compat_version FROM schema_versions WHERE room = 'pets'"
            ).fetchone()
        assert versions == (2, 1)
        database.close()


def test_an_older_program_opens_what_is_compatible(path: str) -> None:
    """A step that only adds something lets the previous program be put back."""
    Database(path, [ROOM, WITH_OWNERS]).close()
    database = Database(path, [ROOM])
    with database.reading() as rows:
        assert rows.execute("SELECT name FROM owners").fetchall() == []
    database.close()


def test_a_newer_incompatible_schema_is_refused(path: str) -> None:
    """A step that breaks older programs makes them say so, and change nothing."""
    breaking = Migration(
        room="pets", number=2, sql="ALTER TABLE pets RENAME TO animals;", breaks_older=True
    )
    Database(path, [ROOM, breaking]).close()
    with pytest.raises(StateUnreadable) as caught:
        Database(path, [ROOM])
    assert "newer wherryd" in caught.value.problem
    Database(path, [ROOM, breaking]).close()


def test_a_failing_migration_leaves_the_file_as_it_was(path: str) -> None:
    """All steps of an upgrade are one transaction."""
    Database(path, [ROOM]).close()
    wrong = Migration(room="pets", number=2, sql="DROP TABLE pets;\nDROP TABLE ghosts;")
    with pytest.raises(StateUnreadable):
        Database(path, [ROOM, wrong])
    database = Database(path, [ROOM])
    with database.reading() as rows:
        assert rows.execute("SELECT count(*) FROM pets").fetchone() == (0,)
    database.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\0" * 80])
def test_a_damaged_file_is_named(path: str, damage: bytes) -> None:
    """Rubbish in the file gives one clear error that names it."""
    Path(path).write_bytes(damage)
    with pytest.raises(StateUnreadable) as caught:
        Database(path, [ROOM])
    assert caught.value.place == path


def test_another_boot_is_noticed(path: str) -> None:
    """Rows that speak of the kernel are stale after a reboot."""
    first = Database(path)
    assert not first.was_rebooted
    with first.transaction() as rows:
        rows.execute("UPDATE store_facts SET value = 'another' WHERE name = 'boot_id'")
    first.close()
    second = Database(path)
    assert second.was_rebooted
    second.close()
    third = Database(path)
    assert not third.was_rebooted
    third.close()
