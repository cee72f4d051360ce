"""`POST /build?story=1`: a build of what comes with the request, told as BuildKit tells its own.

Our own client asks so where it has no session (a context that is a tar already): it hears
vertices, output and reports as `StatusResponse`s, as from `session_builds`.
"""

from collections.abc import AsyncIterator, Callable

from wherry.api.buildkit.answers import Answer
from wherry.api.buildkit.narration import Narrator, sentence
from wherry.api.buildkit.stories import Story
from wherry.api.errors import Refusal, status_of
from wherry.api.translate.build_transcript import results
from wherry.kit.aio import closed_after
from wherry.kit.clock import Clock
from wherry.kit.random_ids import new_id
from wherry.kit.values import dataclass, replace
from wherry.model.build_inquiries import Inquiry
from wherry.model.builds import (
    BuildDone,
    BuildEvent,
    BuildRequest,
    DockerfileFound,
    OutputPiece,
    PartKind,
    SentPart,
)
from wherry.model.errors import WherryError
from wherry.model.outcomes import Progress
from wherry.wire.protobuf import encode

_CONTEXT = "[internal] load build context"
Events = Callable[[AsyncIterator[SentPart]], AsyncIterator[BuildEvent]]


async def told_build(
    request: BuildRequest, parts: AsyncIterator[SentPart], build: Events, clock: Clock
) -> AsyncIterator[Progress]:
    """Build of some parts, and tell of it.

    Raises (while iterating): Refusal with BuildKit's sentence.
    """
    story = Story(new_id(), clock)
    narrator = Narrator(story)
    answer = Answer(request.inquiry, narrator) if request.inquiry else None
    transfers = _Transfers(clock)
    definition = story.begin(f"[internal] load build definition from {request.dockerfile}")
    for told in _news(story):
        yield told  # What fails from here on is told behind this, with its place in the file.
    try:
        async with closed_after(build(transfers.counted(parts))) as events:
            async for event in events:
                if isinstance(event, DockerfileFound):
                    size, part = len(event.content), "transferring dockerfile:"
                    story.count(definition, part, current=size, is_whole=True)
                    story.finish(definition)
                    transfers.tell(story)
                (answer.take if answer else narrator.tell)(event)
                for told in [*_news(story), *_results(event)]:
                    yield told
        if answer is not None:
            story.answer(answer.metadata())
    except WherryError as error:
        narrator.tell_failure(error)
        story.end()
        if answer is None or request.inquiry is not Inquiry.CHECK:
            for told in _news(story):
                yield told
            raise Refusal(status_of(error), sentence(error)) from error
        answer.fail(error)
        story.answer(answer.metadata())
    for told in _news(story):
        yield told


def _results(event: BuildEvent) -> list[Progress]:
    match event:
        case OutputPiece(number=number, content=content):
            return [Progress(output=(number, content))]
        case BuildDone():
            return results(event)
        case _:
            return []


def _news(story: Story) -> list[Progress]:
    return [Progress(trace=encode(each)) for each in story.take()]


@dataclass(slots=True)
class _Transfer:
    """A context on its way here."""

    name: str
    began_ns: int
    ended_ns: int = 0
    came: int = 0


class _Transfers:
    """The contexts of one build, told when all are there: the Dockerfile comes first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: list[_Transfer] = []

    async def counted(self, parts: AsyncIterator[SentPart]) -> AsyncIterator[SentPart]:
        """The parts, of whose files is noted how much came."""
        async for part in parts:
            if part.kind is PartKind.CONTEXT:
                yield replace(part, pieces=self._counting(part))
            else:
                yield part

    async def _counting(self, part: SentPart) -> AsyncIterator[bytes]:
        name = f"[context {part.name}] load from client" if part.name else _CONTEXT
        transfer = _Transfer(name, self._clock.now_ns())
        async for piece in part.pieces:
            transfer.came += len(piece)
            yield piece
        transfer.ended_ns = self._clock.now_ns()
        self._all.append(transfer)

    def tell(self, story: Story) -> None:
        """Tell of those that are here."""
        for each in self._all:
            if each.came:
                vertex = story.begin(each.name, at_ns=each.began_ns)
                story.count(vertex, "transferring context:", current=each.came, is_whole=True)
                story.finish(vertex, at_ns=each.ended_ns)
        self._all.clear()
