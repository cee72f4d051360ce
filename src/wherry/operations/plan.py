"""Plans: lists of named kernel operations, and the one executor that performs them.

Theory of operation. A pure function builds a plan: a tuple of small frozen values, each of
which says what it would do to the kernel, why, and how to take it back. `execute` does them in
order and keeps a journal; when one fails, the ones before it are undone in reverse order and
the journal says so. The same values, read back from the journal, answer `wherry explain`,
reconcile the machine at boot, and are what most unit tests compare with golden files.

Operations hand descriptors to each other by name through `Hands`, so that the values
themselves hold nothing but text and numbers.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import ClassVar

from wherry.kit.values import dataclass, field, fields

Scalar = str | int | bool | None
Argument = Scalar | tuple[Scalar, ...] | tuple[tuple[Scalar, ...], ...] | Mapping[str, Scalar]
Evidence = dict[str, Scalar]


class Aspect(Enum):
    """Which part of a container an operation makes."""

    IMAGE = "image"
    MOUNT = "mount"
    NAMESPACE = "namespace"
    CGROUP = "cgroup"
    NETWORK = "network"
    SECURITY = "security"
    PROCESS = "process"


class Verdict(Enum):
    """What the kernel says of an operation that was done earlier."""

    STILL_TRUE = "still true"
    CHANGED = "changed from outside"
    GONE = "gone"
    UNKNOWN = "unknown"
    """It left nothing that could be looked at from outside."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of `check`: a verdict, and what was seen."""

    verdict: Verdict
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that an operation makes, as a tracer would see it.

    `operands` are texts that must all appear in the traced line.
    """

    name: str
    operands: tuple[str, ...] = ()


class Hands:
    """Descriptors that operations of one plan leave for each other, by name."""

    def __init__(self, descriptors: Mapping[str, int] | None = None) -> None:
        self._descriptors = dict(descriptors or {})

    def hold(self, name: str, descriptor: int) -> None:
        """Keep a descriptor under a name; one that had the name before is closed."""
        old = self._descriptors.get(name)
        if old is not None and old != descriptor:
            os.close(old)
        self._descriptors[name] = descriptor

    def get(self, name: str) -> int:
        """The descriptor of a name. Raises: KeyError."""
        return self._descriptors[name]

    def holds(self, name: str) -> bool:
        """Whether there is a descriptor of this name."""
        return name in self._descriptors

    def everything(self) -> dict[str, int]:
        """All descriptors by name; they stay here."""
        return dict(self._descriptors)

    def give(self, name: str) -> int:
        """Hand a descriptor over: the caller closes it. Raises: KeyError."""
        return self._descriptors.pop(name)

    def release(self, name: str) -> None:
        """Close one descriptor, if it is there."""
        descriptor = self._descriptors.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Close them all."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One change to the kernel or to a kernel-backed file tree.

    `why` is one sentence that names the option or default that caused it.
    """

    kind: ClassVar[str] = ""
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    why: str

    def do(self, hands: Hands) -> Evidence:
        """Perform it; the evidence lets `check` and `undo` find it again. Raises: OSError."""
        raise TypeError(f"{type(self).__name__} has no do()")

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        """Take it back. Doing so twice, or after it has gone by itself, is no error.

        The default is for operations whose effect ends with the process or namespace that
        they were done in.
        """

    def check(self, evidence: Evidence) -> Finding:
        """Ask the kernel whether it still holds. Never changes anything."""
        return Finding(Verdict.UNKNOWN)

    def describe(self) -> str:
        """What it does, in a few words with its operands."""
        shown = " ".join(f"{name}={value!r}" for name, value in self.arguments().items())
        return f"{self.kind} {shown}".rstrip()

    def shell(self) -> str:
        """An equivalent command line, or a `# comment` where no honest one exists."""
        return f"# {self.describe()}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        """The state-changing system calls that `do` made."""
        return ()

    def arguments(self) -> dict[str, Argument]:
        """The operands by name: all that is needed to make the value again."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "why"}


Plan = tuple[Operation, ...]


class Outcome(Enum):
    """How one operation of a plan went."""

    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass(slots=True, kw_only=True)
class Entry:
    """One line of a journal."""

    operation: Operation
    at_ns: int
    """Wall time at which it began."""
    duration_ns: int
    outcome: Outcome
    evidence: Evidence = field(default_factory=dict)
    error: str = ""


Journal = list[Entry]


class OperationFailed(Exception):
    """An operation of a plan failed; what was done before it has been undone."""

    def __init__(self, entry: Entry, cause: BaseException, journal: Journal) -> None:
        super().__init__(f"{entry.operation.describe()}: {entry.error}")
        self.entry = entry
        self.cause = cause
        self.journal = journal


def execute(plan: Iterable[Operation], hands: Hands, journal: Journal) -> None:
    """Do a plan in order, adding to the journal; on failure undo its part and raise.

    Raises: OperationFailed, with the journal up to and including the failing operation.
    """
    wall, monotonic = time.time_ns, time.monotonic_ns
    first = len(journal)
    for operation in plan:
        at, begun = wall(), monotonic()
        try:
            evidence = operation.do(hands)
        except Exception as error:
            entry = Entry(
                operation=operation,
                at_ns=at,
                duration_ns=monotonic() - begun,
                outcome=Outcome.FAILED,
                error=explain_error(error),
            )
            undo(journal[first:], hands)
            journal.append(entry)
            raise OperationFailed(entry, error, journal) from error
        journal.append(
            Entry(
                operation=operation,
                at_ns=at,
                duration_ns=monotonic() - begun,
                outcome=Outcome.DONE,
                evidence=evidence,
            )
        )


def undo(entries: Journal, hands: Hands) -> list[str]:
    """Take back what was done, last first; go on after failures and return their texts."""
    problems = []
    for entry in reversed(entries):
        if entry.outcome is not Outcome.DONE:
            continue
        try:
            entry.operation.undo(hands, entry.evidence)
        except OSError as error:
            problems.append(f"{entry.operation.describe()}: {explain_error(error)}")
        else:
            entry.outcome = Outcome.UNDONE
    return problems


def journal_of(error: BaseException) -> Journal:
    """What was done before an error, when a failed operation is at the root of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OperationFailed):
            return cause.journal
        cause = cause.__cause__
    return []


def explain_error(error: BaseException) -> str:
    """The kernel's words for an error, in Go's form: small letters, no number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


Catalogue = Mapping[str, Callable[..., Operation]]
"""From a kind to the class that is made again from a journal."""
