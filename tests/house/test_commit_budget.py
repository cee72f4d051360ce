"""What a start costs on a real disk, where each flush takes milliseconds."""

import re

import pytest

from support.daemon import Engine
from support.tracing import traced

MOST_COMMITS = 3
MOST_FILES = 1


@pytest.mark.kernel
def test_flushes_of_a_start(engine: Engine) -> None:
    """A start makes at most three commits and flushes at most one other file."""
    engine.docker_ok("create", "--name", "counted", "-p", "8080:80", "busybox", "sleep", "1000")
    processes = [engine.pid, *engine.spawners()]
    with traced(processes, ("fsync", "fdatasync", "sync_file_range", "syncfs")) as trace:
        assert engine.api("POST", "/containers/counted/start").status == 204
        flushed = [re.search(r"<(.*)>", call.arguments) for call in trace.calls()]
    paths = [found[1] for found in flushed if found]
    commits = [path for path in paths if path.endswith(".db-wal")]
    # Once in about a thousand pages the log is copied into the database and both are flushed.
    files = {path for path in paths if not path.endswith((".db-wal", ".db"))}
    assert len(commits) <= MOST_COMMITS, paths
    assert len({path for path in files if not _is_directory_of(path, files)}) <= MOST_FILES, paths


def _is_directory_of(path: str, others: set[str]) -> bool:
    """Flushing the directory is the second half of flushing a new file's name."""
    return any(other.startswith(f"{path}/") for other in others)
