"""What the engine knows of the steps of a build: why they ran, and what they took."""

from collections.abc import Sequence
from datetime import datetime

from wherry.cli.builds.story.trace import Told, Trace, byte_words, seconds
from wherry.wire.buildkit.control import StepCause, StepReport
from wherry.wire.protobuf import Timestamp

_SHORT = 60
_ID = 19
"""Characters of an image's id that are shown: `sha256:` and twelve digits."""


def why_lines(trace: Trace) -> list[str]:
    """For each step: that it is from the cache, or each cause for which it is not."""
    lines = ["Why:"]
    for told in _steps(trace):
        if told.report is None:
            continue
        lines.append(f" #{told.number} {told.vertex.name}: {outcome(told)}")
        lines += [f"    - {each}" for each in cause_lines(told.report)]
    return lines


def outcome(told: Told) -> str:
    """How a step came to its result, in a word or two."""
    report = told.report
    if report is not None and report.was_cached:
        return "cached"
    if report is not None and any(each.kind == "undecided" for each in report.causes):
        return "undecided"
    if _is_base(told):
        moved = report is not None and report.causes
        return "another image than before" if moved else "here"
    return "failed" if told.vertex.error else "ran"


def _is_base(told: Told) -> bool:
    return told.vertex.name.rpartition("] ")[2].startswith("FROM ")


def cause_lines(report: StepReport) -> list[str]:
    """The causes as sentences, and what was compared."""
    lines = [cause_sentence(each) for each in report.causes]
    if report.more:
        lines.append(f"and {report.more} more")
    if report.compared_at is not None:
        lines.append(f"compared with the result of {_moment(report.compared_at)}")
    return lines


def cause_sentence(cause: StepCause) -> str:
    """What one cause says."""
    subject, before, now = cause.subject, _short(cause.before), _short(cause.now)
    match cause.kind:
        case "no-cache":
            return f"--no-cache-filter names its stage {subject}" if subject else "--no-cache"
        case "first":
            return "nothing like it was kept: it is new here"
        case "parent":
            return f"the step before it ran: {_short(subject)}"
        case "base":
            return f"{subject} is another image: {before[:_ID]} before, {now[:_ID]} now"
        case "instruction":
            return f"the instruction is another: {before!r} before, {now!r} now"
        case "argument" | "variable":
            return f"{cause.kind} {subject}: {_side(before)} before, {_side(now)} now"
        case "file-added" | "file-removed" | "file-changed":
            return f"file {cause.kind.removeprefix('file-')}: {subject}"
        case "collected":
            return f"its result was removed by {subject}, {before}"
        case "layer-lost":
            return "its result is known, but the files are not here any more"
        case "undecided":
            return (
                f"it depends on what this gives: {_short(subject)}"
                if subject
                else ("it depends on the files of another stage")
            )
        case _:
            return f"{subject}: {_side(before)} before, {_side(now)} now"


def profile_lines(trace: Trace) -> list[str]:
    """Time and bytes of each step, and the steps that the whole waited for."""
    steps = [each for each in trace.begun if each.ended]
    if not steps:
        return []
    path = critical_path(trace)
    on_path = {id(each) for each in path}
    whole = max(each.ended for each in steps) - min(each.started for each in steps)
    total = sum(each.report.bytes for each in steps if each.report)
    lines = [
        f"Profile: {whole:.2f}s, {byte_words(total)} of layers",
        "     TIME      BYTES     WASTED  STEP",
    ]
    for told in steps:
        added = byte_words(told.report.bytes) if told.report and told.report.bytes else ""
        wasted = trace.wastes.get(told.vertex.digest, 0)
        lost = byte_words(wasted) if wasted else ""
        mark = "*" if id(told) in on_path else " "
        lines.append(
            f" {mark}{told.duration:6.2f}s {added:>10} {lost:>10}  "
            f"#{told.number} {told.vertex.name}"
        )
    names = " > ".join(f"#{each.number}" for each in path)
    took = sum(each.duration for each in path)
    lines.append(f"Critical path (*): {names}, {took:.2f}s of {whole:.2f}s")
    return [*lines, *_waste_lines(trace)]


def _waste_lines(trace: Trace) -> list[str]:
    """What layers carry that the result does not show."""
    if not trace.wastes:
        return []
    total, base = sum(trace.wastes.values()), trace.wastes.get("", 0)
    of_base = f", {byte_words(base)} of it in the base" if base else ""
    return [f"Wasted: {byte_words(total)} are written again or removed further up{of_base}"]


def critical_path(trace: Trace) -> list[Told]:
    """From what ended last back along what it waited for longest, in the order of time.

    A step that nothing in the graph leads to (loading, exporting) waited for what ended before it
    began.
    """
    ended = [each for each in trace.begun if each.ended]
    path: list[Told] = []
    last = max(ended, key=lambda each: each.ended, default=None)
    while last is not None:
        path.append(last)
        begin, seen = last.started, {id(each) for each in path}
        needed = [each for each in trace.below(last) if each.ended]
        earlier = needed or [each for each in ended if each.ended <= begin]
        earlier = [each for each in earlier if id(each) not in seen]
        last = max(earlier, key=lambda each: each.ended, default=None)
    return path[::-1]


def _steps(trace: Trace) -> Sequence[Told]:
    return [each for each in trace.begun if each.report is not None]


def _side(text: str) -> str:
    return repr(text) if text else "nothing"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 3]}..."


def _moment(moment: Timestamp) -> str:
    return f"{datetime.fromtimestamp(seconds(moment)):%Y-%m-%d %H:%M:%S}"
