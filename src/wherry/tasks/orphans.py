"""Containers whose shim died: ended for good, and cleared away."""

import logging
import time

from wherry.model.tasks import ExitRecord
from wherry.operations.journal_files import UnknownJournal, read_journal
from wherry.operations.plan import Journal
from wherry.runtime.container import destroy
from wherry.shim import records
from wherry.shim.protocol import Ending

_log = logging.getLogger(__name__)

KILLED = 137


def end_orphan(record_directory: str, container_id: str, pid: int, error: str) -> ExitRecord:
    """Read how a container without a shim ended, or kill it and write that down. Blocks.

    The journal that the shim left names the cgroups. Raises: nothing that the disk may say:
    a record that can't be written is in the result all the same.
    """
    try:
        known = records.read_end(record_directory)
    except (OSError, records.UnknownRecord):
        known = None
    journal = _journal(record_directory)
    if journal is not None:
        for problem in destroy(journal):
            _log.warning("task.not_cleared container=%s problem=%s", container_id, problem)
    if known is not None:
        return to_exit_record(known.ending)
    ending = Ending(exit_code=KILLED, exited_at_ns=time.time_ns(), error=error)
    record = records.EndRecord(container_id=container_id, pid=pid, ending=ending)
    try:
        records.write_end(record_directory, record)
    except OSError as problem:
        _log.warning("task.end_not_kept container=%s problem=%s", container_id, problem)
    return to_exit_record(ending)


def is_known(record_directory: str) -> bool:
    """Whether a shim ever ran here: it left a journal or an end."""
    try:
        return (
            records.read_end(record_directory) is not None
            or read_journal(records.journal_path(record_directory)) is not None
        )
    except (OSError, UnknownJournal, records.UnknownRecord):
        return True


def to_exit_record(ending: Ending) -> ExitRecord:
    """An end in the engine's words."""
    return ExitRecord(
        exit_code=ending.exit_code,
        exited_at_ns=ending.exited_at_ns,
        was_oom_killed=ending.was_oom_killed,
        error=ending.error,
    )


def _journal(record_directory: str) -> Journal | None:
    try:
        return read_journal(records.journal_path(record_directory))
    except (OSError, UnknownJournal):
        return None
