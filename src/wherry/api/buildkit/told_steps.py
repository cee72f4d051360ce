"""The steps of a build, from what was told of it: what `--why` and `--profile` show, as data."""

from collections.abc import Iterable, Sequence

from wherry.wire.buildkit.control import StatusResponse, StepReport, Vertex
from wherry.wire.builds import BuildCause, BuildStep
from wherry.wire.protobuf import Timestamp


def told_steps(story: Iterable[StatusResponse]) -> Sequence[BuildStep]:
    """All vertices that have begun, in the order in which they were first told."""
    vertices: dict[str, Vertex] = {}
    reports: dict[str, StepReport] = {}
    wastes: dict[str, int] = {}
    for told in story:
        vertices |= {each.digest: each for each in told.vertexes}
        reports |= {each.vertex: each for each in told.reports}
        for waste in told.wastes:
            wastes[waste.vertex] = wastes.get(waste.vertex, 0) + waste.bytes
    begun = {digest: each for digest, each in vertices.items() if each.started is not None}
    places = {digest: place for place, digest in enumerate(begun)}
    return [
        _step(each, reports.get(digest, StepReport()), wastes.get(digest, 0), places)
        for digest, each in begun.items()
    ]


def _step(vertex: Vertex, report: StepReport, wasted: int, places: dict[str, int]) -> BuildStep:
    started, ended = _seconds(vertex.started), _seconds(vertex.completed)
    return BuildStep(
        Name=vertex.name,
        Stage=report.stage,
        Outcome=_outcome(vertex),
        Started=started,
        Seconds=round(max(ended - started, 0.0), 6) if ended else 0.0,
        Bytes=report.bytes,
        Wasted=wasted,
        Error=vertex.error,
        Needs=[places[each] for each in vertex.inputs if each in places],
        Causes=[
            BuildCause(Kind=each.kind, Subject=each.subject, Before=each.before, Now=each.now)
            for each in report.causes
        ],
    )


def _outcome(vertex: Vertex) -> str:
    if vertex.completed is None:
        return "running"
    if vertex.error:
        return "failed"
    return "cached" if vertex.cached else "ran"


def _seconds(moment: Timestamp | None) -> float:
    return moment.seconds + moment.nanos / 1e9 if moment is not None else 0.0
