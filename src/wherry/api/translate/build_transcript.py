"""A build as the classic builder tells it: step by step, in the order of the Dockerfile.

Steps may run at the same time. What one says while another is being told waits for its turn; a
step that failed ends the tale, and what ran beside it is told as far as it came to an end.
"""

from collections.abc import AsyncIterator

from wherry.api.errors import message_of
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
    place: int
    """Among those that are counted; zero for a trigger."""
    triggers: int = 0
    """Of the base, that were not done yet."""
    base: "_Telling | None" = None
    """What a trigger is of."""
    has_ended: bool = False
    said: list[str] = field(default_factory=list)


class _Teller:
    def __init__(self) -> None:
        self._arguments: tuple[str, ...] = ()
        self._steps: dict[int, _Telling] = {}
        self._waiting: list[int] = []
        """Steps that were not told to their end, in the order in which they will be."""
        self._total = 0
        """Steps that are counted; what an image's ONBUILD wants is no step."""
        self._base = _Telling("", 0)
        """The last one that is."""
        self._has_begun = False
        self._warnings: list[str] = []

    def messages(self, event: BuildEvent) -> list[Progress]:
        """What can be told now."""
        match event:
            case DockerfileRead(arguments=arguments):
                self._arguments = arguments
                self._total = len(arguments)
            case StepPlanned(label=label) if label:
                self._planned(event)
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
            case BuildWarned(rule=""):
                self._warnings.append(f"[Warning] {warning_text(event)}\n")
            case OutputPiece(number=number, content=content):
                return [Progress(output=(number, content))]
            case BuildDone():
                return self._done(event)
        return []

    def _planned(self, event: StepPlanned) -> None:
        if event.is_trigger:
            self._base.triggers += 1
            telling = _Telling(event.label, 0, base=self._base)
        else:
            self._total += 1
            telling = self._base = _Telling(event.label, self._total)
        self._steps[event.number] = telling
        self._waiting.append(event.number)

    def _started(self, number: int) -> list[Progress]:
        told: list[Progress] = []
        if not self._has_begun:
            self._has_begun = True
            told = [
                Progress(stream=f"Step {place}/{self._total} : {text}\n")
                for place, text in enumerate(self._arguments, 1)
            ]
        step = self._steps.get(number)
        if step is not None and step.place:
            step.said.append(f"Step {step.place}/{self._total} : {step.label}\n")
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
        if step.triggers:
            plural = "" if step.triggers == 1 else "s"
            step.said.append(f"# Executing {step.triggers} build trigger{plural}\n")
        elif self._is_whole(step):
            step.said.append(f" ---> {short_id(event.image_id.removeprefix('sha256:'))}\n")
        return self._told()

    def _is_whole(self, step: _Telling) -> bool:
        """Whether a step is done with all that it triggers, one of which it may be itself."""
        if step.base is None:
            return True
        step.base.triggers -= 1
        return not step.base.triggers

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


def warning_text(event: BuildWarned) -> str:
    """What a build tells, and what went wrong."""
    return event.text if event.problem is None else f"{event.text}: {message_of(event.problem)}"


def results(done: BuildDone) -> list[Progress]:
    """What is told of what was made, where it has a name."""
    if not done.image_id and not done.digest:
        return []
    names = {"image.name": ",".join(done.names)} if done.names else {}
    return [Progress(built=done.image_id, digest=done.digest, said={**done.said, **names})]
