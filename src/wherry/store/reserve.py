"""Blocks of the disk that the database has before it needs them.

On a full disk what ends something must still be written down: that a container was stopped, that
it is no more. SQLite appends to its log and, when that is full, to the database; both files get
blocks beyond their ends, which nobody else can use up. The log is used over and over again, from
its beginning, after each thousand pages (sqlite.org/wal.html, "Checkpointing").
"""

import contextlib
import os

from wherry.linux.files import allocate

LOG_BYTES = 5 << 20
"""A thousand pages, their headers, and the transaction that goes beyond them."""
GROWTH_BYTES = 1 << 20


class Reserve:
    """Holds blocks for the files of one database; file systems that can't are left alone."""

    def __init__(self, path: str) -> None:
        """Raises: OSError."""
        self._path = path
        # Kept open: to close any descriptor of it would end SQLite's own locks (fcntl(2)).
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def hold(self) -> None:
        """Have them again, where they were used or could not be had before."""
        with contextlib.suppress(OSError):
            allocate(self._file, os.fstat(self._file).st_size + GROWTH_BYTES)
        with contextlib.suppress(OSError):
            log = os.open(f"{self._path}-wal", os.O_RDWR | os.O_CLOEXEC)
            try:
                allocate(log, LOG_BYTES)
            finally:
                os.close(log)

    def close(self) -> None:
        """Let go of the file. Preconditions: the database is closed."""
        os.close(self._file)
