"""One SQLite file: a single writer, readers that never wait for it.

WAL lets readers go on while a transaction is open; `synchronous=FULL` makes a commit mean that
the rows survive a power cut (sqlite.org/pragma.html#pragma_synchronous), so an acknowledgement
may depend on it. A commit costs one fsync: the hot path counts them (`commits`).
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence

from wherry.kit.atomic_files import sync_directory
from wherry.model.errors import StateUnreadable, StepFailed
from wherry.store.migrations import Migration, migrate

BUSY_TIMEOUT_S = 5.0

_STORE_MIGRATIONS = (
    Migration(
        room="store",
        number=1,
        sql="CREATE TABLE store_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
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

    def __init__(self, path: str, migrations: Sequence[Migration] = ()) -> None:
        """Open or make the file (0600), and bring its schema up to date.

        Raises: StateUnreadable when it is damaged or of a newer, incompatible program.
        """
        self.path = path
        self.commits = 0
        """How many transactions were committed since the file was opened."""
        self._writing = threading.Lock()
        self._writer_thread: int | None = None
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        _make_private_file(path)
        try:
            self._writer = self._connect()
            with self.transaction() as connection:
                migrate(connection, (*_STORE_MIGRATIONS, *migrations))
                self.was_rebooted = _note_boot(connection)
                """Whether the machine was booted again since the file was last opened."""
        except StepFailed as error:
            raise StateUnreadable(path, error.cause) from error
        except sqlite3.DatabaseError as error:
            raise StateUnreadable(path, str(error)) from error
        self.commits = 0

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
                yield self._writer
                self._writer.execute("COMMIT")
                self.commits += 1
            except sqlite3.OperationalError as error:
                raise StepFailed("write the engine's database", str(error)) from error
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

    def close(self) -> None:
        """Close every connection; no other thread may use the database any more."""
        for connection in (*self._readers, self._writer):
            connection.close()
        self._readers.clear()

    def _connect(self) -> sqlite3.Connection:
        # check_same_thread is off because the offload pool's threads take turns on the writer.
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _make_private_file(path: str) -> None:
    """SQLite gives `-wal` and `-shm` the mode of the main file, so that one comes first."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        sync_directory(os.path.dirname(path) or ".")


def _note_boot(connection: sqlite3.Connection) -> bool:
    present = boot_id()
    row = connection.execute("SELECT value FROM store_facts WHERE name = 'boot_id'").fetchone()
    connection.execute(
        "INSERT INTO store_facts VALUES ('boot_id', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (present,),
    )
    return row is not None and row[0] != present
