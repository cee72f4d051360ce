"""One SQLite file: a single writer, readers that never wait for it.

WAL lets readers go on while a transaction is open; `synchronous=FULL` makes a commit mean that
the rows survive a power cut (sqlite.org/pragma.html#pragma_synchronous), so an acknowledgement
may depend on it. A commit costs one fsync: the hot path counts them (`commits`).

The disk may still lie, and people have hands: beside the file there is a copy (`safe_copy`), and
a file that is found damaged when it is opened is set aside and made again (`rebuilding`).
"""

import contextlib
import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence

from wherry.kit.atomic_files import sync_directory
from wherry.model.errors import StateUnreadable, StepFailed
from wherry.store.damages import Damages
from wherry.store.migrations import Migration, migrate
from wherry.store.reserve import Reserve
from wherry.store.safe_copy import SafeCopy, counted_commits
from wherry.store.soundness import Damaged, check_pages, check_rows, check_tables, is_damage

_log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 5.0
_KEPT = (
    "it was set aside as {}: as long as that file is there, no file of a container that has no "
    "record is removed; remove it when nothing is missed"
)

_STORE_MIGRATIONS = (
    Migration(
        room="store",
        number=1,
        sql="CREATE TABLE store_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
    ),
    Migration(
        room="store",
        number=2,
        sql="""
        CREATE TABLE damaged_rows (
            place TEXT NOT NULL, key TEXT NOT NULL, record BLOB NOT NULL, problem TEXT NOT NULL,
            PRIMARY KEY (place, key)
        ) STRICT;
        """,
    ),
)


def boot_id() -> str:
    """Which boot of the kernel this is: kernel-side state of another one is gone."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


class Database:
    """The engine's database; every method may be called from any thread.

    Lock order: the writer's lock is the innermost one. Nothing that waits may happen inside
    `transaction()`.
    """

    def __init__(
        self, path: str, migrations: Sequence[Migration] = (), *, is_expected: bool = False
    ) -> None:
        """Open or make the file (0600), and bring its schema up to date.

        `is_expected` says that there was one, so that there being none is damage, too.
        A damaged file is made again, which `damages` says and `has_lost` remembers.
        Raises: StateUnreadable when it is of a newer, incompatible program, or its disk refuses.
        """
        self.path = path
        self.copy = SafeCopy(path)
        self.damages = Damages()
        self.commits = 0
        """How many transactions were committed since the file was opened."""
        self._is_expected = is_expected
        self._migrations = (*_STORE_MIGRATIONS, *migrations)
        self._writing = threading.Lock()
        self._writer_thread: int | None = None
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._copying = threading.Lock()
        self._commits_copied = -1
        """What the copy counts; -1: there is none."""
        self._copied_at = 0
        """`commits` when the copy was last brought up to date."""
        self._uncopied = ""
        """Why it could not be, the last time."""
        try:
            self._open_or_rebuild()
        except StepFailed as error:
            raise StateUnreadable(path, error.cause) from error
        except (sqlite3.Error, OSError) as error:
            raise StateUnreadable(path, str(error)) from error
        self.commits = 0
        self._reserve = Reserve(path)
        self._reserve.hold()
        if self._commits_copied < 0:
            self.keep_copy()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write: all of it is durable when the block ends, or none of it is there.

        Raises: StepFailed when the disk refuses (full, I/O error); what the block raises.
        """
        if self._writer_thread == threading.get_ident():
            raise RuntimeError("a transaction inside a transaction")
        with self._writing:
            self._writer_thread = threading.get_ident()
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                before = self._writer.total_changes
                yield self._writer
                if self._writer.total_changes != before:
                    _count_commit(self._writer)
                self._writer.execute("COMMIT")
                self.commits += 1
            except sqlite3.OperationalError as error:
                raise StepFailed("write the engine's database", _cause(error)) from error
            finally:
                self._writer_thread = None
                with contextlib.suppress(sqlite3.Error):
                    self._writer.rollback()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read: one moment of the database, whatever is written meanwhile."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
            self._readers.append(connection)
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.rollback()

    @property
    def is_copied(self) -> bool:
        """Whether nothing was committed since the copy was brought up to date."""
        return not self._uncopied and self._copied_at == self.commits

    def keep_copy(self) -> None:
        """Bring the copy and the reserve up to date.

        Where the disk takes none the old one stays; each reason is logged once.
        """
        self._reserve.hold()
        with self._copying:
            commits = self.commits
            try:
                self._copy_commits()
            except (OSError, sqlite3.Error) as error:
                if str(error) != self._uncopied:
                    _log.warning("state.not_copied %s: %s", self.copy.path, error)
                self._uncopied = str(error)
            else:
                self._uncopied, self._copied_at = "", commits

    def _copy_commits(self) -> None:
        """Raises: OSError, sqlite3.Error."""
        with contextlib.closing(self._connect()) as connection:
            commits = counted_commits(connection)
            if commits != self._commits_copied:
                self.copy.write(connection)
                self._commits_copied = commits

    @property
    def has_lost(self) -> bool:
        """Whether rows may be missing: then what no row speaks of is nobody's to remove.

        So it is as long as a file that was set aside is there.
        """
        return bool(self._aside())

    def tell_rows_aside(self) -> None:
        """Tell of single rows that were set aside, each time until they are given up."""
        with self.reading() as rows:
            for place, key, problem in rows.execute(
                "SELECT place, key, problem FROM damaged_rows"
            ):
                self.damages.note(
                    f"{place} {key}",
                    problem,
                    "its row was set aside, what is on the disk of it is kept; to give it up: "
                    f"sqlite3 {self.path} \"DELETE FROM damaged_rows WHERE key = '{key}'\"",
                )

    def close(self) -> None:
        """Close every connection; no other thread may use the database any more."""
        self.keep_copy()
        for connection in (*self._readers, self._writer):
            connection.close()
        self._reserve.close()
        self._readers.clear()

    # -- opening -----------------------------------------------------------------------------

    def _open_or_rebuild(self) -> None:
        rebuilt = ""
        try:
            self._open()
        except (Damaged, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            rebuilt = self._rebuild(str(error))
        self.tell_rows_aside()
        for aside in self._aside():
            if aside != rebuilt:
                self.damages.note(self.path, "it was damaged once", _KEPT.format(aside))

    def _open(self) -> None:
        known = self._commits_of_copy()
        if not _has_bytes(self.path) and (known or self._is_expected):
            raise Damaged("it is missing or empty")
        _make_private_file(self.path)
        self._writer = self._connect()
        try:
            check_pages(self._writer)
            check_tables(self._writer, self._migrations)
            check_rows(self._writer)
            self._migrate()
            if known is not None and known > counted_commits(self._writer):
                raise Damaged("it is older than its copy")
        except BaseException:
            self._writer.close()
            raise

    def _migrate(self) -> None:
        with self.transaction() as connection:
            migrate(connection, self._migrations)
            self.was_rebooted = _note_boot(connection)
            """Whether the machine was booted again since the file was last opened."""

    def _commits_of_copy(self) -> int | None:
        try:
            known = self.copy.commits()
        except Damaged as error:
            self.damages.note(self.copy.path, str(error), "it was made anew")
            known = None
        self._commits_copied = -1 if known is None else known
        return known

    def _rebuild(self, problem: str) -> str:
        """Set the file aside and make another; where it is now."""
        from wherry.store import rebuilding  # wanted once in a life, at most

        aside = rebuilding.set_aside(self.path)
        self._is_expected = False
        if rebuilding.restored(self.path, self.copy):
            outcome = "it was put in order from its copy"
            self._open()
        else:
            self._open()
            saved = rebuilding.salvage(aside, self._writer)
            outcome = f"{saved} rows could be read of it"
        self.damages.note(self.path, problem, f"{outcome}; {_KEPT.format(aside)}")
        return aside

    def _aside(self) -> list[str]:
        from wherry.store.rebuilding import files_aside

        return files_aside(self.path)

    def _connect(self) -> sqlite3.Connection:
        # check_same_thread is off because the offload pool's threads take turns on the writer.
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _cause(error: sqlite3.Error) -> str:
    """What the machine said, in the words of the system where it is about the disk."""
    said = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS}
    number = said.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return str(error) if number is None else os.strerror(number).lower()


def _has_bytes(path: str) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0


def _make_private_file(path: str) -> None:
    """SQLite gives `-wal` and `-shm` the mode of the main file, so that one comes first."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        sync_directory(os.path.dirname(path) or ".")


def _count_commit(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO store_facts VALUES ('commits', '1') ON CONFLICT (name)"
        " DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
    )


def _note_boot(connection: sqlite3.Connection) -> bool:
    present = boot_id()
    row = connection.execute("SELECT value FROM store_facts WHERE name = 'boot_id'").fetchone()
    connection.execute(
        "INSERT INTO store_facts VALUES ('boot_id', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (present,),
    )
    return row is not None and row[0] != present
