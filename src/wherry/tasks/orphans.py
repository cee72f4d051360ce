"""Containers whose shim died: ended for good, and cleared away.

A shim keeps its journal when it has answered the start, since nobody waits for that. One that
dies before leaves only the specification it worked from, from which its cgroups follow. The
runtime's rooms are loaded for the first of them: no other daemon has a use for them.
"""

import logging
import os
import time
from contextlib import suppress

from wherry.model.tasks import ExitRecord
from wherry.oci import runtime_json
from wherry.operations.journal_files import UnknownJournal, read_journal
from wherry.operations.plan import Journal
from wherry.shim import records
from wherry.shim.protocol import CONFIG_NAME, Ending

_log = logging.getLogger(__name__)

KILLED = 137


def end_orphan(
    bundle: str, record_directory: str, container_id: str, pid: int, error: str
) -> ExitRecord:
    """Read how a container without a shim ended, or kill it and write that down. Blocks.

    Raises: nothing that the disk may say: a record that can't be written is in the result all
    the same.
    """
    try:
        known = records.read_end(record_directory)
    except (OSError, records.UnknownRecord) as damage:
        known, error = None, f"how it ended can't be read: {damage}"
    clear_away(bundle, record_directory, container_id)
    if known is not None:
        return to_exit_record(known.ending)
    ending = Ending(exit_code=KILLED, exited_at_ns=time.time_ns(), error=error)
    record = records.EndRecord(container_id=container_id, pid=pid, ending=ending)
    try:
        records.write_end(record_directory, record)
    except OSError as problem:
        _log.warning("task.end_not_kept container=%s problem=%s", container_id, problem)
    return to_exit_record(ending)


def clear_away(bundle: str, record_directory: str, container_id: str) -> None:
    """Kill what a shim that died has left of its container, and remove its cgroups. Blocks."""
    from wherry.runtime.container import destroy

    for problem in destroy(_journal(bundle, record_directory, container_id) or []):
        _log.warning("task.not_cleared container=%s problem=%s", container_id, problem)


def is_known(bundle: str, record_directory: str, container_id: str) -> bool:
    """Whether there is anything of a shim that ran here: an end, a journal, cgroups."""
    try:
        if records.read_end(record_directory) is not None:
            return True
    except (OSError, records.UnknownRecord):
        return True
    return _journal(bundle, record_directory, container_id) is not None


def to_exit_record(ending: Ending) -> ExitRecord:
    """An end in the engine's words."""
    return ExitRecord(
        exit_code=ending.exit_code,
        exited_at_ns=ending.exited_at_ns,
        was_oom_killed=ending.was_oom_killed,
        error=ending.error,
        lost_output_bytes=ending.lost_output_bytes,
    )


def _journal(bundle: str, record_directory: str, container_id: str) -> Journal | None:
    """What the shim did: as it kept it, or as far as it can be told without; None: nothing."""
    from wherry.runtime.container import assumed_journal

    with suppress(OSError, UnknownJournal):
        kept = read_journal(records.journal_path(record_directory))
        if kept is not None:
            return kept
    with suppress(OSError, ValueError):
        return assumed_journal(_planned_cgroups(bundle, container_id)) or None
    return None


def _planned_cgroups(bundle: str, container_id: str) -> tuple[str, ...]:
    """Those that a specification asks for and that exist. Raises: OSError; ValueError."""
    from wherry.runtime.machine import this_machine
    from wherry.runtime.subject import cgroup_directories_of

    with open(f"{bundle}/{CONFIG_NAME}", "rb") as file:
        spec = runtime_json.decode_without_filter(file.read())
    found = cgroup_directories_of(spec, container_id, this_machine().layout)
    return tuple(directory for _hierarchy, directory in found if os.path.isdir(directory))
