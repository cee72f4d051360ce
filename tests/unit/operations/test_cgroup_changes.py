"""A changed limit can be put back, and takes its place in the story of the start."""

from pathlib import Path

import pytest

from wherry.operations.plan import Entry, Hands, Operation, Outcome, Verdict
from wherry.operations.processes.cgroup_changes import ChangeCgroupFile, latest, with_changes
from wherry.operations.processes.cgroups import MakeCgroup, WriteCgroupFile
from wherry.operations.processes.process import Fork


def _entry(operation: Operation, at_ns: int = 0) -> Entry:
    return Entry(operation=operation, at_ns=at_ns, duration_ns=0, outcome=Outcome.DONE)


def _written(path: str, value: str) -> Entry:
    return _entry(WriteCgroupFile(path=path, value=value, why="--memory"))


def _changed(path: str, value: str) -> Entry:
    return _entry(ChangeCgroupFile(path=path, value=value, why="docker update --memory"))


def test_do_check_undo(tmp_path: Path) -> None:
    """The old value comes back; undoing twice, or after the cgroup has gone, is no error."""
    file = tmp_path / "memory.max"
    file.write_text("100\n")
    change = ChangeCgroupFile(path=str(file), value="200", why="docker update --memory")
    evidence = change.do(Hands())
    assert (evidence["before"], file.read_text().strip()) == ("100", "200")
    assert change.check(evidence).verdict is Verdict.STILL_TRUE
    change.undo(Hands(), evidence)
    change.undo(Hands(), evidence)
    assert file.read_text().strip() == "100"
    assert change.check(evidence).verdict is Verdict.CHANGED
    file.unlink()
    change.undo(Hands(), evidence)


@pytest.mark.parametrize(
    ("file", "value", "before", "restored"),
    [
        ("blkio.throttle.read_bps_device", "8:0 7", "8:0 5\n8:16 6", "8:0 5"),
        ("blkio.throttle.read_bps_device", "8:0 7", "8:16 6", "8:0 0"),
        ("io.max", "8:0 rbps=7", "", "8:0 rbps=max"),
        ("io.max", "8:0 rbps=7", "8:0 rbps=5 wbps=max", "8:0 rbps=5 wbps=max"),
        ("io.weight", "8:0 70", "default 100", "8:0 default"),
        ("cpu.max", "50000 100000", "max 100000", "max 100000"),
    ],
)
def test_lines_of_devices(
    tmp_path: Path, file: str, value: str, before: str, restored: str
) -> None:
    """In a file with a line for each device, only that device's is put back."""
    path = tmp_path / file
    path.touch()
    change = ChangeCgroupFile(path=str(path), value=value, why="docker update")
    change.undo(Hands(), {"before": before})
    assert path.read_text() == restored


def test_a_change_replaces_what_it_changed() -> None:
    """The story has the newest values, before the process was made."""
    start = [
        _entry(MakeCgroup(path="/c", why="its own")),
        _written("/c/memory.max", "100"),
        _written("/c/pids.max", "7"),
        _written("/c/io.max", "8:0 rbps=1"),
        _entry(Fork(why="process 1")),
    ]
    changes = [
        _changed("/c/memory.max", "200"),
        _changed("/c/memory.max", "300"),
        _changed("/c/io.max", "8:16 rbps=2"),
    ]
    told = [
        getattr(each.operation, "value", each.operation.kind)
        for each in with_changes(start, changes)
    ]
    assert told == ["make-cgroup", "7", "8:0 rbps=1", "300", "8:16 rbps=2", "fork"]
    assert with_changes(start, []) == start
    assert [each.operation for each in latest(changes)] == [
        changes[1].operation,
        changes[2].operation,
    ]
