"""What a build would do: step by step, stage by stage, and what could go on at the same time."""

from collections import Counter, defaultdict

from wherry.cli.builds.story.reports import cause_lines, outcome
from wherry.cli.builds.story.trace import Told, Trace

_WORDS = {"ran": "run", "cached": "cached", "here": "here", "failed": "fail"}


def plan_lines(trace: Trace) -> list[str]:
    """The plan as text."""
    steps = [each for each in trace.begun if each.report is not None]
    lines = ["Plan:"]
    for told in steps:
        word = outcome(told)
        lines.append(f" {_WORDS.get(word, word):>9}  {told.vertex.name}")
        if told.report is not None:
            lines += [f"            - {each}" for each in cause_lines(told.report)]
    lines += [
        f"   skipped  stage {each.name or 'without a name'} (line {each.line}): nothing needs it"
        for each in trace.skipped
    ]
    lines += [f"At the same time: {', '.join(each)}" for each in at_the_same_time(trace, steps)]
    counts = Counter(map(outcome, steps))
    lines.append(
        f"{counts['ran']} to run, {counts['cached']} cached, {counts['undecided']} undecided"
    )
    return lines


def at_the_same_time(trace: Trace, steps: list[Told]) -> list[list[str]]:
    """Stages whose steps would run and don't need each other, in groups of two or more.

    A group is the stages that are as far from the beginning: none of them needs another.
    """
    depth: dict[str, int] = {}
    for told in steps:
        below = [depth[each.vertex.digest] for each in trace.below(told)
                 if each.vertex.digest in depth]  # fmt: skip
        crossed = any(
            each.report is not None and told.report is not None
            and each.report.stage != told.report.stage
            for each in trace.below(told)
        )  # fmt: skip
        depth[told.vertex.digest] = max(below, default=0) + (1 if crossed else 0)
    groups: dict[int, dict[str, None]] = defaultdict(dict)
    for told in steps:
        if told.report is not None and outcome(told) in ("ran", "undecided") and told.report.stage:
            groups[depth[told.vertex.digest]][told.report.stage] = None
    return [[*stages] for _depth, stages in sorted(groups.items()) if len(stages) > 1]
