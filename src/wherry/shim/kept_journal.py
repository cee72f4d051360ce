"""What was done to the kernel for a container: in the memory of who did it, and on disk."""

from contextlib import suppress

from wherry.operations.journal_files import UnknownJournal, read_journal, write_journal
from wherry.operations.plan import Journal
from wherry.runtime.container import assumed_journal
from wherry.shim.records import journal_path


class KeptJournal:
    """A container's journal."""

    def __init__(self, record_directory: str, *, is_kept: bool = False) -> None:
        """`is_kept`: another process of this shim has left it on disk."""
        self._path = journal_path(record_directory)
        self._known: Journal | None = None
        self.is_kept = is_kept
        """Whether it is on disk. Without it explanations are poorer; the container is not."""

    def keep(self, journal: Journal) -> None:
        """Know it from now on, and write it down."""
        self._known = journal
        with suppress(OSError):
            write_journal(self._path, journal)
            self.is_kept = True

    def recalled(self, cgroups: tuple[str, ...]) -> Journal:
        """The journal; where it was lost, what is known otherwise: that the cgroups were made."""
        if self._known is None:
            with suppress(OSError, UnknownJournal):
                self._known = read_journal(self._path)
        if self._known is None:
            self._known = assumed_journal(cgroups)
        return self._known
