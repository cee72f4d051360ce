"""The engine's database."""

import contextlib
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from wherry.model.errors import StateUnreadable
from wherry.store import Database, Migration
from wherry.store.rebuilding import files_aside

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
    endings = ("", "-wal", "-shm", ".copy")
    assert modes == {f"engine.db{ending}": 0o600 for ending in endings}
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


def with_tim(path: str) -> None:
    """A database with a row, closed in order."""
    database = Database(path, [ROOM, WITH_OWNERS])
    with database.transaction() as rows:
        rows.execute("INSERT INTO pets VALUES ('tim', 4)")
    database.close()


def pets(database: Database) -> list[str]:
    """Who is in it."""
    with database.reading() as rows:
        return [name for (name,) in rows.execute("SELECT name FROM pets ORDER BY name")]


def drop(path: str) -> None:
    """Another schema: a table less than its version says."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE owners")


def strange(path: str) -> None:
    """Another schema: somebody else's tables."""
    os.unlink(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE pets (color TEXT)")


def written(path: str, content: bytes) -> None:
    """Something that is no database."""
    Path(path).write_bytes(content)


DAMAGES: dict[str, Callable[[str], None]] = {
    "gone": os.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "half": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "random": lambda path: written(path, os.urandom(16384)),
    "text": lambda path: written(path, b'{"a": '),
    "a table less": drop,
    "other tables": strange,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again_of_its_copy(path: str, damage: str) -> None:
    """Whatever became of the file: all rows are there, it is told, and nothing is thrown away."""
    with_tim(path)
    DAMAGES[damage](path)
    database = Database(path, [ROOM, WITH_OWNERS])
    assert pets(database) == ["tim"]
    assert database.has_lost
    (told,) = database.damages.all()
    assert told.what == path
    assert "from its copy" in told.outcome
    database.close()
    (aside,) = map(Path, files_aside(path))
    again = Database(path, [ROOM, WITH_OWNERS])
    assert pets(again) == ["tim"]
    assert str(aside) in again.damages.all()[0].outcome
    aside.unlink()
    assert not again.has_lost
    again.close()


def test_a_log_that_is_lost_is_noticed(path: str) -> None:
    """SQLite takes a lost log for a shorter history; the copy knows better."""
    database = Database(path, [ROOM])
    with database.transaction() as rows:
        rows.execute("INSERT INTO pets VALUES ('tim', 4)")
    database.keep_copy()
    crashed = Path(shutil.copytree(Path(path).parent, f"{path}.crashed"))
    database.close()
    os.unlink(crashed / "engine.db-wal")
    again = Database(str(crashed / "engine.db"), [ROOM])
    assert pets(again) == ["tim"]
    assert "older than its copy" in again.damages.all()[0].problem
    again.close()


@pytest.mark.parametrize("damage", ["gone", "empty", "half", "random", "text"])
def test_a_damaged_copy_is_made_anew(path: str, damage: str) -> None:
    """The database itself is whole, and so is its copy afterwards."""
    with_tim(path)
    DAMAGES[damage](f"{path}.copy")
    database = Database(path, [ROOM, WITH_OWNERS])
    assert pets(database) == ["tim"]
    assert not database.has_lost
    assert database.copy.commits()
    assert bool(database.damages.all()) == (damage != "gone")
    database.close()


def test_a_copy_that_cannot_be_made_is_told_once(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The old one stays, each reason is in the log once, and it is tried again until it works."""
    database = Database(path, [ROOM])
    assert database.is_copied
    with database.transaction() as rows:
        rows.execute("INSERT INTO pets VALUES ('tim', 4)")
    os.mkdir(f"{path}.copy.new")
    for _ in range(2):
        database.keep_copy()
        assert not database.is_copied
    assert [each.getMessage()[:18] for each in caplog.records] == ["state.not_copied /"]
    os.rmdir(f"{path}.copy.new")
    database.keep_copy()
    assert database.is_copied
    database.close()
    os.unlink(path)
    again = Database(path, [ROOM], is_expected=True)
    with again.reading() as rows:
        assert rows.execute("SELECT * FROM pets").fetchall() == [("tim", 4)]
    again.close()


def test_without_a_copy_what_can_be_read_is_kept(path: str) -> None:
    """A page is damaged and the copy is gone: rows of other pages are there."""
    database = Database(path, [ROOM, WITH_OWNERS])
    with database.transaction() as rows:
        rows.executemany(
            "INSERT INTO pets VALUES (?, 4)", [(f"{n:05}" * 40,) for n in range(2000)]
        )
    database.close()
    os.unlink(f"{path}.copy")
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(8192))
    again = Database(path, [ROOM, WITH_OWNERS])
    assert len(pets(again)) > 100
    assert "rows could be read" in again.damages.all()[0].outcome
    again.close()


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
