"""Journals as JSON values: what a container's directory keeps of what was done for it."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from wherry.kit.values import dataclass
from wherry.operations.plan import Entry, Journal, Operation, Outcome

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenOperation(Operation):
    """An operation of a journal that another version wrote."""

    kind: ClassVar[str] = "forgotten"

    was: str
    shown: str

    def describe(self) -> str:
        return f"{self.was} {self.shown}"


def to_json(journal: Iterable[Entry]) -> list[Line]:
    """One object for each entry, with all that `from_json` needs."""
    return [
        {
            "kind": entry.operation.kind,
            "aspect": entry.operation.aspect.value,
            "arguments": entry.operation.arguments(),
            "why": entry.operation.why,
            "at_ns": entry.at_ns,
            "duration_ns": entry.duration_ns,
            "outcome": entry.outcome.value,
            "evidence": entry.evidence,
            "error": entry.error,
        }
        for entry in journal
    ]


def from_json(lines: Iterable[Line]) -> Journal:
    """The journal that `to_json` wrote, in this version or another.

    A kind that this version does not know becomes a `ForgottenOperation`: an old journal can
    always be shown, and undoing it leaves that one alone.

    Raises: ValueError for what is no journal.
    """
    try:
        return [_entry(line) for line in lines]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a journal: {error}") from error


def _entry(line: Line) -> Entry:
    return Entry(
        operation=_operation(line),
        at_ns=line["at_ns"],
        duration_ns=line["duration_ns"],
        outcome=Outcome(line["outcome"]),
        evidence=dict(line["evidence"]),
        error=line["error"],
    )


def _operation(line: Line) -> Operation:
    from wherry.operations.catalogue import CATALOGUE  # Who only writes journals needs few kinds.

    make = CATALOGUE.get(line["kind"])
    if make is not None:
        try:
            return make(why=line["why"], **_frozen(line["arguments"]))
        except TypeError:
            pass  # Written by a version whose operation had other operands.
    return ForgottenOperation(why=line["why"], was=line["kind"], shown=str(line["arguments"]))


def _frozen(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _tuples(value) for name, value in arguments.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
