"""What is told of a build, from its beginning, to whoever listens.

A vertex is told when it is planned, when it starts and when it ends, each time as a whole; what
its command writes goes out as it comes. A listener may come before the build or after its end.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence

from wherry.kit.clock import Clock
from wherry.kit.values import dataclass, field
from wherry.wire.buildkit.control import (
    FailedSource,
    KeptStory,
    SkippedStage,
    StatusResponse,
    StepReport,
    Vertex,
    VertexLog,
    VertexStatus,
    VertexWarning,
    Waste,
)
from wherry.wire.protobuf import Timestamp, encode, timestamp

MOST_OUTPUT = 2 << 20
"""Bytes of one step's output that are told; BuildKit's limit as well."""
MOST_KEPT = 1 << 20
"""Bytes of output that are kept of a build that was."""
STDOUT, STDERR = 1, 2
CANCELLED = "context canceled"
"""The error of what was broken off; clients know it by these words."""
_CLIPPED = f"[output clipped, log limit {MOST_OUTPUT >> 20}MiB reached]\n".encode()


@dataclass(slots=True)
class Chapter:
    """One vertex of a story."""

    vertex: Vertex
    output_bytes: int = 0
    parts: dict[str, Timestamp] = field(default_factory=dict)
    """When each part that is counted began."""


class Story:
    """The story of one build."""

    def __init__(self, ref: str, clock: Clock) -> None:
        self._ref = ref
        self._clock = clock
        self._chapters: dict[str, Chapter] = {}
        self._told: list[StatusResponse] = []
        self._taken = 0
        self._has_ended = False
        self._news = asyncio.Event()

    async def listen(self) -> AsyncIterator[StatusResponse]:
        """All that was told, and what will be, until the end."""
        heard = 0
        while True:
            news = self._news
            while heard < len(self._told):
                yield self._told[heard]
                heard += 1
            if self._has_ended:
                return
            await news.wait()

    def written(self) -> bytes:
        """All of it, to be kept: of the output only so much."""
        kept, left = [], MOST_KEPT
        for each in self._told:
            left -= sum(len(log.msg) for log in each.logs)
            if left >= 0 or not each.logs:
                kept.append(each)
        return encode(KeptStory(told=kept))

    @property
    def told(self) -> Sequence[StatusResponse]:
        """All that was told so far."""
        return self._told

    def take(self) -> list[StatusResponse]:
        """What was told since this was asked last, for the one who asks."""
        news = self._told[self._taken :]
        self._taken = len(self._told)
        return news

    def end(self) -> None:
        """There is no more to tell; what was left open is told as broken off."""
        if self._has_ended:
            return
        for key, chapter in self._chapters.items():
            if chapter.vertex.started is not None and chapter.vertex.completed is None:
                self.finish(key, error=CANCELLED)
        self._has_ended = True
        self._wake()

    # -- vertices ----------------------------------------------------------------------------

    def plan(self, key: str, name: str, needs: Sequence[str] = ()) -> None:
        """There is such a step."""
        vertex = Vertex(
            digest=self._digest(key), name=name, inputs=[self._digest(each) for each in needs]
        )
        self._chapters[key] = Chapter(vertex)
        self._tell_vertex(vertex)

    def begin(self, name: str, *, at_ns: int = 0) -> str:
        """Something that nobody planned begins, or began; the key by which it is known then."""
        key = f"{name} {len(self._chapters)}"
        self.plan(key, name)
        self.start(key, at_ns=at_ns)
        return key

    def start(self, key: str, *, at_ns: int = 0) -> None:
        """A planned step begins."""
        vertex = self._chapters[key].vertex
        if vertex.started is None:
            vertex.started = timestamp(at_ns) if at_ns else self._now()
            self._tell_vertex(vertex)

    def finish(
        self, key: str, *, was_cached: bool = False, error: str = "", at_ns: int = 0
    ) -> None:
        """It came to its end, now or before."""
        chapter = self._chapters[key]
        vertex = chapter.vertex
        vertex.started = vertex.started or self._now()
        vertex.cached, vertex.error = was_cached, error
        vertex.completed = timestamp(at_ns) if at_ns else self._now()
        self._tell_vertex(vertex)

    def say(self, key: str, text: bytes, stream: int = STDOUT) -> None:
        """Something that the step's command wrote."""
        chapter = self._chapters[key]
        if chapter.output_bytes > MOST_OUTPUT:
            return
        chapter.output_bytes += len(text)
        if chapter.output_bytes > MOST_OUTPUT:
            text = _CLIPPED
        log = VertexLog(
            vertex=chapter.vertex.digest, timestamp=self._now(), stream=stream, msg=text
        )
        self._tell(StatusResponse(logs=[log]))

    def count(
        self, key: str, part: str, *, current: int = 0, total: int = 0, is_whole: bool = False
    ) -> None:
        """How far a part of the step is, in bytes where there are any."""
        chapter, now = self._chapters[key], self._now()
        started = chapter.parts.setdefault(part, now)
        status = VertexStatus(
            ID=part,
            vertex=chapter.vertex.digest,
            current=current,
            total=total,
            timestamp=now,
            started=started,
            completed=now if is_whole else None,
        )
        self._tell(StatusResponse(statuses=[status]))

    def warn(self, key: str, warning: VertexWarning) -> None:
        """Something about a step that is no error."""
        if key in self._chapters:
            warning.vertex = self._chapters[key].vertex.digest
        self._tell(StatusResponse(warnings=[warning]))

    def report(self, key: str, report: StepReport) -> None:
        """What is known of a step that came to its end."""
        report.vertex = self._chapters[key].vertex.digest
        self._tell(StatusResponse(reports=[report]))

    def waste(self, key: str, count: int) -> None:
        """Bytes that a step has added in vain; that its base has, for an empty key."""
        vertex = self._chapters[key].vertex.digest if key else ""
        self._tell(StatusResponse(wastes=[Waste(vertex=vertex, bytes=count)]))

    def skip(self, stage: SkippedStage) -> None:
        """A stage that nothing needs."""
        self._tell(StatusResponse(skipped=[stage]))

    def fail(self, source: FailedSource) -> None:
        """Where the build failed."""
        self._tell(StatusResponse(failures=[source]))

    def answer(self, metadata: dict[str, bytes]) -> None:
        """The answer to an inquiry."""
        self._tell(StatusResponse(answer=metadata))

    @property
    def steps(self) -> Sequence[Vertex]:
        """All vertices, as they are now."""
        return [chapter.vertex for chapter in self._chapters.values()]

    # -- inside ------------------------------------------------------------------------------

    def _digest(self, key: str) -> str:
        return "sha256:" + hashlib.sha256(f"{self._ref}\0{key}".encode()).hexdigest()

    def _now(self) -> Timestamp:
        return timestamp(self._clock.now_ns())

    def _tell_vertex(self, vertex: Vertex) -> None:
        told = Vertex(
            digest=vertex.digest,
            inputs=vertex.inputs,
            name=vertex.name,
            cached=vertex.cached,
            started=vertex.started,
            completed=vertex.completed,
            error=vertex.error,
        )
        self._tell(StatusResponse(vertexes=[told]))

    def _tell(self, response: StatusResponse) -> None:
        self._told.append(response)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
