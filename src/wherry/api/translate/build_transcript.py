"""A build as the classic builder tells it: step by step, in the order of the Dockerfile.

Steps may run at the same time. What one says while another is being told waits for its turn; a
step that failed ends the tale, and what ran beside it is told as far as it came to an end.
"""

from collections.abc import AsyncIterator

from wherry.kit.aio import closed_after
from wherry.kit.random_ids import short_id
from wherry.kit.values import dataclass, field
from wherry.model.builds import (
    BasePulled,
    BuildDone,
    BuildEvent,
    BuildWarned,
    DockerfileRead,
    OutputPiece,
    ResultPushed,
    StepEnded,
    StepPlanned,
    StepSaid,
    StepStarted,
    Voice,
)
from wherry.model.errors import WherryError
from wherry.model.outcomes import Progress

_RED, _PLAIN = "\x1b[91m", "\x1b[0m"
"""How Docker tells what a command writes to its standard error, whatever reads it."""


async def transcript(
    events: AsyncIterator[BuildEvent], *, is_quiet: bool
) -> AsyncIterator[Progress]:
    """Messages for a build's events. A quiet build tells its image's id, or how it failed.

    Raises: as the build does.
    """
    teller = _Teller()
    kept: list[Progress] = []
    try:
        async with closed_after(events):
            async for event in events:
                for message in teller.messages(event):
                    if is_quiet and not isinstance(event, BuildDone | OutputPiece):
                        kept.append(message)
                    elif not is_quiet or message.digest or message.output:
                        yield message
                if is_quiet and isinstance(event, BuildDone):
                    yield Progress(stream=f"{event.image_id}\n")
    except WherryError:
        for message in kept:
            yield message
        raise


@dataclass(slots=True)
class _Telling:
    """One step, and what it has said."""

    label: str
    has_started: bool = False
    has_ended: bool = False
    said: list[str] = field(default_factory=list)


class _Teller:
    def __init__(self) -> None:
        self._arguments: tuple[str, ...] = ()
        self._steps: dict[int, _Telling] = {}
        self._waiting: list[int] = []
        """Steps that were not told to their end, in the order in which they will be."""
        self._total = 0
        self._warnings: list[str] = []

    def messages(self, event: BuildEvent) -> list[Progress]:
        """What can be told now."""
        match event:
            case DockerfileRead(arguments=arguments):
                self._arguments = arguments
            case StepPlanned(number=number, label=label):
                if label:
                    self._steps[number] = _Telling(label)
                    self._waiting.append(number)
            case StepStarted(number=number):
                return self._started(number)
            case StepSaid(number=number, text=text, voice=Voice.STDERR):
                return self._said(number, f"{_RED}{text}{_PLAIN}")
            case StepSaid(number=number, text=text):
                return self._said(number, text)
            case StepEnded():
                return self._ended(event)
            case BasePulled(progress=progress) | ResultPushed(progress=progress):
                return [progress]
            case BuildWarned(text=text, rule=""):
                self._warnings.append(f"[Warning] {text}\n")
            case OutputPiece(number=number, content=content):
                return [Progress(output=(number, content))]
            case BuildDone():
                return self._done(event)
        return []

    def _started(self, number: int) -> list[Progress]:
        told: list[Progress] = []
        if not self._total:
            self._total = len(self._steps) + len(self._arguments)
            told = [
                Progress(stream=f"Step {place}/{self._total} : {text}\n")
                for place, text in enumerate(self._arguments, 1)
            ]
        step = self._steps.get(number)
        if step is not None:
            step.has_started = True
            place = [*self._steps].index(number) + len(self._arguments) + 1
            step.said.append(f"Step {place}/{self._total} : {step.label}\n")
        return told + self._told()

    def _said(self, number: int, text: str) -> list[Progress]:
        step = self._steps.get(number)
        if step is None:
            return []
        step.said.append(text)
        return self._told()

    def _ended(self, event: StepEnded) -> list[Progress]:
        step = self._steps.get(event.number)
        if step is None:
            return []
        step.has_ended = True
        if event.error is not None:
            self._waiting = [
                each
                for each in self._waiting
                if each == event.number or (each < event.number and self._steps[each].has_ended)
            ]
            return self._told()
        if event.was_cached:
            step.said.append(" ---> Using cache\n")
        step.said.append(f" ---> {short_id(event.image_id.removeprefix('sha256:'))}\n")
        return self._told()

    def _told(self) -> list[Progress]:
        """What the first step that is not told to its end has said, and those behind it."""
        told: list[Progress] = []
        while self._waiting:
            step = self._steps[self._waiting[0]]
            told += [Progress(stream=text) for text in step.said]
            step.said.clear()
            if not step.has_ended:
                break
            del self._waiting[0]
        return told

    def _done(self, done: BuildDone) -> list[Progress]:
        told = results(done)
        told += [Progress(stream=text) for text in self._warnings]
        if done.image_id:
            short = short_id(done.image_id.removeprefix("sha256:"))
            told.append(Progress(stream=f"Successfully built {short}\n"))
        told += [Progress(stream=f"Successfully tagged {name}\n") for name in done.names]
        return told


def results(done: BuildDone) -> list[Progress]:
    """What is told of what was made, where it has a name."""
    if not done.image_id and not done.digest:
        return []
    names = {"image.name": ",".join(done.names)} if done.names else {}
    return [Progress(built=done.image_id, digest=done.digest, said={**done.said, **names})]
