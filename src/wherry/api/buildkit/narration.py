"""From a builder's events to the story of a build, in BuildKit's words."""

from collections import Counter
from dataclasses import dataclass, field

from wherry.api.buildkit.stories import Story
from wherry.api.errors import message_of
from wherry.images import parse
from wherry.model.builds import (
    BasePulled,
    BuildDone,
    BuildEvent,
    BuildWarned,
    DockerfileFound,
    DockerfileRead,
    StepEnded,
    StepPlanned,
    StepSaid,
    StepStarted,
)
from wherry.model.errors import Cancelled, NotInContext, StepEndedBadly
from wherry.model.outcomes import Progress
from wherry.wire.buildkit.control import VertexWarning
from wherry.wire.buildkit.sources import Position, Range, SourceInfo
from wherry.wire.protobuf import MalformedMessage

_PULLING = "[internal] load base images"
_EXPORTING = "exporting to image"


@dataclass(slots=True)
class Narrator:
    """Tells one build."""

    story: Story
    dockerfile: str = "Dockerfile"
    content: bytes = b""
    lines: dict[int, int] = field(default_factory=dict)
    """Where steps are in the Dockerfile."""
    failed_line: int = 0
    _planned: list[StepPlanned] = field(default_factory=list)
    _shown: set[int] = field(default_factory=set)
    _pulling: str = ""

    def tell(self, event: BuildEvent) -> None:
        """One event."""
        match event:
            case DockerfileFound():
                self.dockerfile, self.content = event.name, event.content
            case DockerfileRead():
                pass
            case StepPlanned():
                self._planned.append(event)
                self.lines[event.number] = event.line
            case StepStarted():
                self._plan()
                if event.number in self._shown:
                    self.story.start(_key(event.number))
            case StepSaid():
                if event.is_output and event.number in self._shown:
                    self.story.say(_key(event.number), event.text.encode(errors="surrogateescape"))
            case StepEnded():
                self._end(event)
            case BasePulled():
                self._pull(event.progress)
            case BuildWarned():
                self._warn(event)
            case BuildDone():
                self._plan()
                self._export(event)

    # -- steps -------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Tell the steps, once all of them are known."""
        if not self._planned:
            return
        planned, self._planned = self._planned, []
        if self._pulling:
            self.story.finish(self._pulling)
        written = [each for each in planned if each.label and not each.is_metadata]
        self._shown = {each.number for each in written}
        totals = Counter(each.stage for each in written)
        seen: Counter[str] = Counter()
        for step in written:
            seen[step.stage] += 1
            place = f"{seen[step.stage]}/{totals[step.stage]}"
            if len(totals) > 1:
                stage = f"stage-{step.stage}" if step.stage.isdigit() else step.stage
                place = f"{stage} {place}"
            needs = [_key(each) for each in step.needs if each in self._shown]
            self.story.plan(_key(step.number), f"[{place}] {_shortened(step.label)}", needs)

    def _end(self, event: StepEnded) -> None:
        if event.error is not None and not isinstance(event.error, Cancelled):
            self.failed_line = self.failed_line or self.lines.get(event.number, 0)
        if event.number in self._shown:
            error = "" if event.error is None else sentence(event.error)
            self.story.finish(_key(event.number), was_cached=event.was_cached, error=error)

    def _warn(self, event: BuildWarned) -> None:
        warning = VertexWarning(level=1, short=event.text.encode())
        if event.line:
            place = Position(line=event.line)
            warning.ranges = [Range(start=place, end=place)]
            warning.info = self.source()
        self.story.warn("", warning)

    def source(self) -> SourceInfo:
        """The Dockerfile, for who wants to show a part of it."""
        return SourceInfo(filename=self.dockerfile, data=self.content, language="Dockerfile")

    # -- images ------------------------------------------------------------------------------

    def _pull(self, progress: Progress) -> None:
        self._pulling = self._pulling or self.story.begin(_PULLING)
        if progress.id and progress.total:
            self.story.count(
                self._pulling,
                progress.id,
                current=progress.current or 0,
                total=progress.total,
                is_whole=progress.current == progress.total,
            )

    def _export(self, event: BuildDone) -> None:
        if not event.image_id:
            return
        exporting = self.story.begin(_EXPORTING)
        for part in (
            f"writing image {event.image_id}",
            *(f"naming to {canonical(each)}" for each in event.names),
        ):
            self.story.count(exporting, part, is_whole=True)
        self.story.finish(exporting)


def sentence(error: Exception) -> str:
    """What BuildKit says of a failure."""
    if isinstance(error, StepEndedBadly):
        return (
            f'process "{error.command}" did not complete successfully: '
            f"exit code: {error.exit_code}"
        )
    if isinstance(error, MalformedMessage):
        return f"malformed message: {error}"
    if isinstance(error, NotInContext):
        return f'failed to calculate checksum of ref: "/{error.path}": not found'
    return message_of(error)


def canonical(name: str) -> str:
    """A name with its registry, which people leave out."""
    reference = parse(name).with_default_tag()
    return f"{reference.repository}:{reference.tag}"


def _key(number: int) -> str:
    return f"step {number}"


def _shortened(label: str) -> str:
    """An instruction on one line; a FROM without the name that it gives."""
    words = label.split()
    if words and words[0].upper() == "FROM":
        image = next((each for each in words[1:] if not each.startswith("--")), "")
        return f"FROM {image}"
    return " ".join(words)
