"""Why a step of a build ran: what of what it sees no earlier run had seen."""

from enum import Enum

from wherry.kit.values import dataclass


class CauseKind(Enum):
    """What was not as it had been. The values are words of the API."""

    NO_CACHE = "no-cache"
    """The user wanted no earlier result; the subject is a stage where only its steps are meant."""
    FIRST = "first"
    """Nothing that could be compared was kept."""
    PARENT = "parent"
    """The step below (the subject) is another one, or gave something else."""
    BASE = "base"
    """A name leads to another image than before."""
    INSTRUCTION = "instruction"
    ARGUMENT = "argument"
    """A build argument that a command sees."""
    VARIABLE = "variable"
    """An argument or ENV that an instruction mentions."""
    SETTING = "setting"
    """Something else that a step sees: its network, shell, hosts, a moment."""
    FILE_ADDED = "file-added"
    FILE_CHANGED = "file-changed"
    FILE_REMOVED = "file-removed"
    COLLECTED = "collected"
    """The result had been kept, and was removed: by what (the subject), and when (before)."""
    LAYER_LOST = "layer-lost"
    """The result is known, but its files are not here any more."""
    UNDECIDED = "undecided"
    """Only of a plan: it depends on what the subject will give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCause:
    """One cause; `before` and `now` are empty where there is no such side."""

    kind: CauseKind
    subject: str = ""
    before: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWhy:
    """Why a step ran. Of many causes only the first are told."""

    causes: tuple[StepCause, ...] = ()
    more: int = 0
    """How many there are beside those."""
    compared_at_ns: int = 0
    """When the result was made that the step was compared with; zero: with none."""
