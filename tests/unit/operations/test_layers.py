"""Operations on layers: what they say, and what is left of them in a journal."""

from pathlib import Path

import pytest

from wherry.operations.files.layers import (
    ApplyLayer,
    DiffLayer,
    PrepareSnapshot,
    RemoveLayer,
    RemoveSnapshot,
)
from wherry.operations.journal import from_json, to_json
from wherry.operations.plan import Hands, Journal, Operation, OperationFailed, Verdict, execute


def every_operation(directory: str) -> list[Operation]:
    """One of each, without work."""
    return [
        PrepareSnapshot(why="w", directory=directory, lower="7"),
        RemoveSnapshot(why="w", directory=directory),
        ApplyLayer(why="w", directory=directory, diff_id="sha256:1"),
        DiffLayer(why="w", directory=directory),
        RemoveLayer(why="w", directory=directory),
    ]


def test_evidence_is_what_the_work_counted() -> None:
    """The owner's counts are in the journal, and come back with it."""
    operation = ApplyLayer(
        why="w", directory="/d", diff_id="sha256:1", work=lambda: {"entries": 3}
    )
    journal: Journal = []
    execute((operation,), Hands(), journal)
    (again,) = from_json(to_json(journal))
    assert again.operation == operation
    assert again.evidence == {"entries": 3}


def test_a_value_from_a_journal_cannot_be_done_again() -> None:
    """It has no work in it, and says so."""
    for operation in every_operation("/d"):
        with pytest.raises(OperationFailed) as caught:
            execute((operation,), Hands(), [])
        assert isinstance(caught.value.cause, TypeError)


def test_each_says_what_it_does() -> None:
    """Words and a command for people, with the directory in both."""
    for operation in every_operation("/data/overlay2/7"):
        assert "/data/overlay2/7" in operation.describe()
        assert "/data/overlay2/7" in operation.shell()


def test_undo_removes_what_was_made(tmp_path: Path) -> None:
    """Twice is no error; `check` tells before and after."""
    made = tmp_path / "7"
    (made / "diff" / "d").mkdir(parents=True)
    for operation in every_operation(str(made)):
        if isinstance(operation, PrepareSnapshot | ApplyLayer):
            (made / "diff" / "d").mkdir(parents=True, exist_ok=True)
            assert operation.check({}).verdict is Verdict.STILL_TRUE
            for _ in range(2):
                operation.undo(Hands(), {})
            assert operation.check({}).verdict is Verdict.GONE
            assert not made.exists()


def test_removals_check_that_it_is_gone(tmp_path: Path) -> None:
    """What came back was changed from outside."""
    for operation in every_operation(str(tmp_path / "7")):
        if isinstance(operation, RemoveSnapshot | RemoveLayer):
            assert operation.check({}).verdict is Verdict.STILL_TRUE
            (tmp_path / "7").mkdir()
            assert operation.check({}).verdict is Verdict.CHANGED
            (tmp_path / "7").rmdir()
