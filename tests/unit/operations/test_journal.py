"""Journals as JSON: what is written can be read back, by this version and by others."""

import dataclasses
import json
import types
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from wherry.operations.catalogue import CATALOGUE
from wherry.operations.journal import ForgottenOperation, from_json, to_json
from wherry.operations.plan import Entry, Operation, Outcome
from wherry.operations.processes.process import NewSession

SAMPLES: dict[Any, Any] = {str: "text", int: 7, bool: True, bytes: b"bytes"}
SAMPLES[Operation] = NewSession(why="a plan inside of an operation")


def _sample(hint: Any) -> Any:
    """Some value of an operand's type."""
    if hint in SAMPLES:
        return SAMPLES[hint]
    arguments = get_args(hint)
    if get_origin(hint) is types.UnionType:
        return _sample(arguments[0])
    if get_origin(hint) is tuple:
        if arguments[-1] is Ellipsis:
            return (_sample(arguments[0]), _sample(arguments[0]))
        return tuple(_sample(each) for each in arguments)
    pytest.fail(f"a journal can't hold operands of type {hint}")


def _operation(kind: type[Operation]) -> Operation:
    hints = get_type_hints(kind)
    values = {each.name: _sample(hints[each.name]) for each in dataclasses.fields(kind)}
    return kind(**values)


def _entry(operation: Operation) -> Entry:
    return Entry(
        operation=operation,
        at_ns=1,
        duration_ns=2,
        outcome=Outcome.DONE,
        evidence={"pid": 3, "text": "x", "none": None, "flag": True},
    )


def _holds_values_only(kind: str) -> bool:
    """Whether all operands are values; a few operations also hold a function to call."""
    made = CATALOGUE[kind]
    hints = get_type_hints(made)
    return isinstance(made, type) and all(
        "Callable" not in str(hints[each.name]) for each in dataclasses.fields(made)
    )


VALUE_KINDS = [kind for kind in sorted(CATALOGUE) if _holds_values_only(kind)]


def test_most_kinds_hold_values_only() -> None:
    """All but those of layers and volumes, whose own tests do them."""
    rest = set(CATALOGUE) - set(VALUE_KINDS)
    assert all(kind.endswith(("-layer", "-snapshot", "-volume")) for kind in rest)


@pytest.mark.parametrize("kind", VALUE_KINDS)
def test_every_kind_comes_back(kind: str) -> None:
    """Each operation of the catalogue survives JSON, except for what a journal must not keep."""
    made = CATALOGUE[kind]
    assert isinstance(made, type)
    entry = _entry(_operation(made))
    (back,) = from_json(json.loads(json.dumps(to_json([entry]))))
    assert back.operation.arguments() == entry.operation.arguments()
    assert type(back.operation) is made
    assert (back.evidence, back.outcome, back.operation.why) == (
        entry.evidence,
        Outcome.DONE,
        "text",
    )


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_kind_has_words(kind: str) -> None:
    """Each operation is registered under its own kind and has a docstring."""
    made = CATALOGUE[kind]
    assert getattr(made, "kind", kind) == kind
    assert (made.__doc__ or "").strip()


def test_a_kind_of_another_version() -> None:
    """An unknown kind, or one with other operands, can be shown and is never undone."""
    (line,) = to_json([_entry(_operation(CATALOGUE["mask-path"]))])  # type: ignore[arg-type]
    unknown = {**line, "kind": "teleport"}
    changed = {**line, "arguments": {"other": 1}}
    for each in from_json([unknown, changed]):
        assert isinstance(each.operation, ForgottenOperation)
        assert each.operation.why == "text"
    assert "teleport" in from_json([unknown])[0].operation.describe()


@pytest.mark.parametrize("line", [{}, {"kind": "mask-path"}, []])
def test_what_is_no_journal(line: Any) -> None:
    """Something else is an error, not an empty story."""
    with pytest.raises(ValueError, match="not a journal"):
        from_json([line])
