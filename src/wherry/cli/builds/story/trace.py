"""A build as it is known so far: its vertices, what they said, and what is known of them."""

from collections import deque
from collections.abc import Sequence

from wherry.kit.values import dataclass, field
from wherry.wire.buildkit.control import (
    FailedSource,
    SkippedStage,
    StatusResponse,
    StepReport,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
)
from wherry.wire.protobuf import Timestamp

_LAST_LINES = 8
CANCELLED = "context canceled"


@dataclass(slots=True)
class Told:
    """One vertex."""

    vertex: Vertex
    number: int = 0
    """The place among those that have begun, from 1; zero before."""
    statuses: dict[str, VertexStatus] = field(default_factory=dict)
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    """Of its output, each behind its time."""
    partial: str = ""
    """Output that is no whole line yet."""
    report: StepReport | None = None

    @property
    def started(self) -> float:
        """When it began, in seconds since 1970; zero before."""
        return seconds(self.vertex.started)

    @property
    def ended(self) -> float:
        """When it ended; zero before."""
        return seconds(self.vertex.completed)

    @property
    def duration(self) -> float:
        """How long it took, in seconds."""
        return max(self.ended - self.started, 0.0) if self.ended else 0.0

    @property
    def is_broken_off(self) -> bool:
        """Whether it ended because something else did."""
        return self.vertex.error.endswith(CANCELLED)


@dataclass(frozen=True, slots=True)
class News:
    """What one message brought, of vertices that are known."""

    changed: Sequence[Told]
    counted: Sequence[tuple[Told, VertexStatus]]
    said: Sequence[tuple[Told, Sequence[str]]]
    """Whole lines of output, each behind the time since its step began."""


class Trace:
    """All that was told."""

    def __init__(self) -> None:
        self._vertices: dict[str, Told] = {}
        self.begun: list[Told] = []
        """Those that have begun, in that order."""
        self.warnings: list[VertexWarning] = []
        self.skipped: list[SkippedStage] = []
        self.failure: FailedSource | None = None
        self.answer: dict[str, bytes] = {}
        self.wastes: dict[str, int] = {}
        """Bytes that the result does not show, by the vertex that added them; those of the base
        by an empty name."""
        self.sent_bytes = 0
        """Of the context, by us: the engine hears the request to its end before it tells."""

    @property
    def vertices(self) -> Sequence[Told]:
        """All that are known."""
        return [*self._vertices.values()]

    def vertex(self, digest: str) -> Vertex | None:
        """One that is known."""
        told = self._vertices.get(digest)
        return told.vertex if told is not None else None

    def below(self, told: Told) -> list[Told]:
        """What a vertex needs."""
        return [self._vertices[each] for each in told.vertex.inputs if each in self._vertices]

    def take(self, response: StatusResponse) -> News:
        """One message."""
        changed = [self._changed(each) for each in response.vertexes]
        counted = [
            (told, each)
            for each in response.statuses
            if (told := self._vertices.get(each.vertex)) is not None
        ]
        for told, status in counted:
            told.statuses[status.ID] = status
        said = [
            (told, _lines(told, each))
            for each in response.logs
            if (told := self._vertices.get(each.vertex)) is not None
        ]
        for report in response.reports:
            if report.vertex in self._vertices:
                self._vertices[report.vertex].report = report
        for waste in response.wastes:
            self.wastes[waste.vertex] = self.wastes.get(waste.vertex, 0) + waste.bytes
        self.warnings += response.warnings
        self.skipped += response.skipped
        self.answer |= response.answer
        self.failure = next(iter(response.failures), self.failure)
        return News(changed, counted, said)

    def _changed(self, vertex: Vertex) -> Told:
        told = self._vertices.get(vertex.digest)
        if told is None:
            told = self._vertices[vertex.digest] = Told(vertex)
        told.vertex = vertex
        if vertex.started is not None and not told.number:
            self.begun.append(told)
            told.number = len(self.begun)
        return told


def seconds(moment: Timestamp | None) -> float:
    """Since 1970; zero for no moment."""
    return moment.seconds + moment.nanos / 1e9 if moment is not None else 0.0


def _lines(told: Told, log: VertexLog) -> list[str]:
    """The lines that some output completes."""
    text = told.partial + log.msg.decode(errors="replace")
    *whole, told.partial = text.split("\n")
    since = max(seconds(log.timestamp) - told.started, 0.0)
    digits = 3 if since < 10 else 2 if since < 100 else 1
    lines = [f"{since:.{digits}f} {each}" for each in whole]
    told.last_lines.extend(lines)
    return lines


def last_words(told: Told) -> list[str]:
    """The last lines of output, also one that was not ended."""
    return [*told.last_lines, *([told.partial] if told.partial else [])]


def byte_words(count: int) -> str:
    """As BuildKit writes a number of bytes: `98B`, `1.35kB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{count}B" if unit == "B" else f"{amount:.2f}{unit}"
        amount /= 1000
    return f"{amount:.2f}TB"


def count_words(status: VertexStatus) -> str:
    """How far a part is; empty where nothing is counted."""
    if status.total:
        return f"{byte_words(status.current)} / {byte_words(status.total)}"
    return byte_words(status.current) if status.current else ""
