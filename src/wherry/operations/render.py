"""Journals for people: each step with its reason, what the kernel showed, and a command line."""

from collections.abc import Iterable
from typing import Any

from wherry.operations.journal import to_json
from wherry.operations.looking import CONTAINER_PID
from wherry.operations.one_line import comment, one_line, visible
from wherry.operations.plan import (
    Aspect,
    Entry,
    Evidence,
    Finding,
    Journal,
    Outcome,
    Verdict,
    explain_error,
)

_WIDTH = 96
_ASPECT_WIDTH = max(len(aspect.value) for aspect in Aspect)
_INDENT = " " * 8
_UNTOLD = frozenset({"pid", "caller", "made", "created", "attributes_calls"})
"""Evidence that only `undo`, `check` and `calls` need."""
_MARKS = {
    Verdict.STILL_TRUE: "✔",
    Verdict.CHANGED: "✘ changed from outside:",
    Verdict.GONE: "✘ gone:",
    Verdict.UNKNOWN: "?",
}


def look(journal: Journal) -> list[Finding]:
    """Ask the kernel of each entry whether it still holds. Changes nothing."""
    pids = (entry.evidence["pid"] for entry in journal if "pid" in entry.evidence)
    pid = next(pids, None)
    return [_finding(entry, {CONTAINER_PID: pid} if pid else {}) for entry in journal]


def render_text(
    journal: Journal,
    *,
    undone: bool = True,
    findings: list[Finding] | None = None,
    title: str = "",
) -> str:
    """A numbered story of a journal. Times are from its first step; `findings` are `look`'s.

    `undone` says whether steps that were taken back are told as well.
    """
    told = [
        (entry, findings[at] if findings else None)
        for at, entry in enumerate(journal)
        if undone or entry.outcome is not Outcome.UNDONE
    ]
    if not told:
        return "Nothing was done.\n"
    begin = min(entry.at_ns for entry, _ in told)
    end = max(entry.at_ns + entry.duration_ns for entry, _ in told)
    lines = [
        *([title, ""] if title else []),
        f"{_steps(len(told))} in {_duration(end - begin)}",
        "",
    ]
    for number, (entry, finding) in enumerate(told, 1):
        lines += _told(number, entry, entry.at_ns - begin, finding)
    lines += ["", *_totals([entry for entry, _ in told])]
    return "\n".join(lines) + "\n"


def render_json(
    journal: Journal, *, findings: list[Finding] | None = None
) -> list[dict[str, Any]]:
    """The journal's JSON, with the words and the command line of each step."""
    lines = to_json(journal)
    for at, (line, entry) in enumerate(zip(lines, journal, strict=True)):
        line["describe"] = entry.operation.describe()
        line["shell"] = entry.operation.shell()
        if findings:
            line["finding"] = {
                "verdict": findings[at].verdict.value,
                "seen": findings[at].seen,
            }
    return lines


def _finding(entry: Entry, through: Evidence) -> Finding:
    if entry.outcome is not Outcome.DONE:
        return Finding(Verdict.GONE, entry.outcome.value)
    try:
        return entry.operation.check({**entry.evidence, **through})
    except (OSError, KeyError, ValueError) as error:
        return Finding(Verdict.UNKNOWN, explain_error(error))


def _told(number: int, entry: Entry, offset_ns: int, finding: Finding | None) -> list[str]:
    operation = entry.operation
    head = (
        f"{number:4}  +{_milliseconds(offset_ns):>7}  {_duration(entry.duration_ns):>7}  "
        f"{operation.aspect.value:<{_ASPECT_WIDTH}}  {one_line(operation.describe())}"
    )
    lines = [head + _outcome(entry), *_wrapped("why", operation.why)]
    seen = _evidence(entry)
    if seen:
        lines += _wrapped("saw", seen)
    if finding is not None:
        lines += _wrapped("now", f"{_MARKS[finding.verdict]} {finding.seen}".rstrip())
    shell = operation.shell()
    if not shell.startswith(f"# {operation.describe()}"):
        lines += _command(shell)
    return lines


def _outcome(entry: Entry) -> str:
    match entry.outcome:
        case Outcome.FAILED:
            return f"  ✘ FAILED: {entry.error}"
        case Outcome.UNDONE:
            return "  (undone)"
        case Outcome.DONE:
            return ""


def _wrapped(label: str, text: str) -> list[str]:
    """Text behind a label, broken between words."""
    lines, line = [], f"{_INDENT}{label:>3}  "
    hanging = " " * len(line)
    for word in text.split(" "):
        if len(line) + len(word) > _WIDTH and line.strip():
            lines.append(line.rstrip())
            line = hanging
        line += f"{word} "
    return [*lines, line.rstrip()]


def _command(shell: str) -> list[str]:
    """A command line, broken behind its `&&` and `||` when it is long, and where a name is."""
    if shell.startswith("# "):
        shell = comment(shell.removeprefix("# "))
    if len(shell) + len(_INDENT) > _WIDTH:
        shell = shell.replace(" && ", " &&\n").replace(" || ", " ||\n")
    first, *others = map(visible, shell.split("\n"))
    return [f"{_INDENT}  $  {first}", *(f"{_INDENT}     {each}" for each in others)]


def _evidence(entry: Entry) -> str:
    """What is worth a reader's time of the evidence.

    No flags that are off, no counts of nothing, and nothing that the description has said.
    """
    told = entry.operation.describe()
    return " ".join(
        f"{name}={' '.join(str(value).split())}"
        for name, value in entry.evidence.items()
        if value not in (None, False, 0, "")
        and name not in _UNTOLD
        and not (isinstance(value, str) and value in told)
    )


def _totals(entries: Iterable[Entry]) -> list[str]:
    """How long each aspect took, longest first."""
    totals: dict[Aspect, list[int]] = {}
    for entry in entries:
        totals.setdefault(entry.operation.aspect, []).append(entry.duration_ns)
    ordered = sorted(totals.items(), key=lambda item: -sum(item[1]))
    return [
        f"{aspect.value:>{_ASPECT_WIDTH + 6}}  {_steps(len(each)):>9}  {_duration(sum(each)):>8}"
        for aspect, each in ordered
    ]


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _milliseconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.2f}ms"


def _duration(duration_ns: int) -> str:
    """Microseconds below one millisecond, else milliseconds."""
    return f"{duration_ns / 1e3:.0f}µs" if duration_ns < 1_000_000 else _milliseconds(duration_ns)
