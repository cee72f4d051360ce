"""From a builder's events to the story of a build, in BuildKit's words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from wherry.api.buildkit.stories import Story
from wherry.api.errors import message_of
from wherry.api.translate.build_transcript import warning_text
from wherry.images import parse
from wherry.kit.values import dataclass, field
from wherry.model.build_causes import StepWhy
from wherry.model.builds import (
    BaseFound,
    BasePulled,
    BaseSought,
    BuildDone,
    BuildEvent,
    BuildWarned,
    DockerfileFound,
    ResultMeasured,
    ResultPushed,
    ResultScanned,
    ScanSaid,
    ScanStarted,
    StageSkipped,
    StepEnded,
    StepPlanned,
    StepSaid,
    StepStarted,
    Voice,
)
from wherry.model.errors import Cancelled
from wherry.model.errors.builds import DockerfileRefused, NotInContext, StepEndedBadly
from wherry.model.outcomes import Progress
from wherry.wire.buildkit.control import (
    FailedSource,
    SkippedStage,
    StepCause,
    StepReport,
    VertexWarning,
)
from wherry.wire.buildkit.sources import Position, Range, SourceInfo
from wherry.wire.protobuf import MalformedMessage, timestamp

_EXPORTING = "exporting to image"
_PUSHING = "pushing to registry"


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
    _skipped: list[StageSkipped] = field(default_factory=list)
    _shown: dict[int, StepPlanned] = field(default_factory=dict)
    _seeking: str = ""
    _pushing: str = ""
    _scanning: str = ""

    def tell(self, event: BuildEvent) -> None:
        """One event."""
        match event:
            case DockerfileFound():
                self.dockerfile, self.content = event.name, event.content
            case StepPlanned():
                self._planned.append(event)
                self.lines[event.number] = event.line
            case StageSkipped():
                self._skipped.append(event)
            case StepStarted():
                self._plan()
                if event.number in self._shown:
                    self.story.start(_key(event.number))
            case StepSaid():
                if event.voice is not Voice.BUILDER and event.number in self._shown:
                    said = event.text.encode(errors="surrogateescape")
                    self.story.say(_key(event.number), said, event.voice.value)
            case StepEnded():
                self._end(event)
            case BaseSought() | BasePulled() | BaseFound():
                self._seek(event)
            case ScanStarted() | ScanSaid() | ResultScanned():
                self._scan(event)
            case ResultMeasured(steps=steps, base_bytes=base_bytes):
                for number, count in steps.items():
                    self.story.waste(_key(number), count)
                if base_bytes:
                    self.story.waste("", base_bytes)
            case ResultPushed(progress=progress):
                self._push(progress)
            case BuildWarned():
                self._warn(event)
            case BuildDone():
                self._plan()
                self._export(event)
            case _:
                pass

    # -- steps -------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Tell the steps, once all of them are known."""
        if not self._planned:
            return
        planned, self._planned = self._planned, []
        written = [each for each in planned if _is_shown(each)]
        self._shown = {each.number: each for each in written}
        has_stages = len({each.stage for each in planned if each.stage}) + len(self._skipped) > 1
        totals = Counter((each.platform, each.stage) for each in written)
        seen: Counter[tuple[str, str]] = Counter()
        needs = {each.number: each.needs for each in planned}
        for step in written:
            place = step.platform, step.stage
            seen[place] += 1
            words = [step.platform, _stage(step.stage) if has_stages else ""]
            words.append(f"{seen[place]}/{totals[place]}")
            prefix = f"[{' '.join(filter(None, words))}] " if step.label else ""
            below = [*self._shown_below(step, needs)]
            self.story.plan(_key(step.number), prefix + _title(step), below)
        for stage in self._skipped:
            self.story.skip(SkippedStage(name=stage.name, line=stage.line))

    def _shown_below(self, step: StepPlanned, needs: Mapping[int, Sequence[int]]) -> Iterator[str]:
        """The nearest steps below that are shown."""
        waiting, seen = [*step.needs], set[int]()
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            if number in self._shown:
                yield _key(number)
            else:
                waiting += needs[number]

    def _end(self, event: StepEnded) -> None:
        if event.error is not None and not isinstance(event.error, Cancelled):
            self.failed_line = self.failed_line or self.lines.get(event.number, 0)
        if event.number in self._shown:
            error = "" if event.error is None else sentence(event.error)
            key = _key(event.number)
            self.story.finish(key, was_cached=event.was_cached, error=error)
            self.story.report(key, to_report(self._shown[event.number].stage, event))

    def _warn(self, event: BuildWarned) -> None:
        place = f" (line {event.line})" if event.line else ""
        short = f"{event.rule}: {event.text}{place}" if event.rule else warning_text(event)
        warning = VertexWarning(level=1, short=short.encode(), url=event.url)
        if event.description:
            warning.detail = [event.description.encode()]
        if event.line:
            warning.ranges = [warned_range(event)]
            warning.info = self.source()
        self.story.warn("", warning)

    def source(self) -> SourceInfo:
        """The Dockerfile, for who wants to show a part of it."""
        return SourceInfo(filename=self.dockerfile, data=self.content, language="Dockerfile")

    def tell_failure(self, error: Exception) -> None:
        """How a build failed, and where in the Dockerfile if it did so there."""
        for begun in filter(None, (self._seeking, self._scanning)):
            self.story.finish(begun, error=sentence(error))
        if ranges := self.failed_ranges(error):
            self.story.fail(FailedSource(info=self.source(), ranges=ranges))

    def failed_ranges(self, error: Exception) -> list[Range]:
        """The lines of the Dockerfile that a failure is about; none where it is about none."""
        line = error.line if isinstance(error, DockerfileRefused) else 0
        line = line or self.failed_line
        if not line or not self.content:
            return []
        return [Range(start=Position(line=line), end=Position(line=line))]

    # -- images ------------------------------------------------------------------------------

    def _seek(self, event: BaseSought | BasePulled | BaseFound) -> None:
        match event:
            case BaseSought(reference=reference, platform=platform):
                internal = f"{platform} internal".strip()
                self._seeking = self.story.begin(
                    f"[{internal}] load metadata for {canonical(reference)}"
                )
            case BasePulled(progress=progress) if progress.id and progress.total:
                self.story.count(
                    self._seeking,
                    progress.id,
                    current=progress.current or 0,
                    total=progress.total,
                    is_whole=progress.current == progress.total,
                )
            case BaseFound():
                self.story.finish(self._seeking)
                self._seeking = ""
            case _:
                pass

    def _scan(self, event: ScanStarted | ScanSaid | ResultScanned) -> None:
        match event:
            case ScanStarted(platform=platform, scanner=scanner):
                self._scanning = self.story.begin(
                    f"[{platform}] generating sbom using {canonical(scanner)}"
                )
            case ScanSaid(text=text):
                self.story.say(self._scanning, text.encode(errors="surrogateescape"))
            case ResultScanned():
                self.story.finish(self._scanning)
                self._scanning = ""

    def _push(self, progress: Progress) -> None:
        self._pushing = self._pushing or self.story.begin(_PUSHING)
        if progress.id and progress.total:
            self.story.count(
                self._pushing,
                progress.id,
                current=progress.current or 0,
                total=progress.total,
                is_whole=progress.current == progress.total,
            )

    def _export(self, event: BuildDone) -> None:
        if self._pushing:
            self.story.finish(self._pushing)
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


def warned_range(event: BuildWarned) -> Range:
    """The lines that a warning is about."""
    last = event.last_line or event.line
    return Range(start=Position(line=event.line), end=Position(line=last))


def canonical(name: str) -> str:
    """A name with its registry and tag, which people leave out."""
    reference = parse(name)
    if reference.digest:
        tag = f":{reference.tag}" if reference.tag else ""
        return f"{reference.repository}{tag}@{reference.digest}"
    reference = reference.with_default_tag()
    return f"{reference.repository}:{reference.tag}"


def to_report(stage: str, event: StepEnded) -> StepReport:
    """What the engine says of a step, for who asks."""
    why = event.why or StepWhy()
    return StepReport(
        stage=_stage(stage),
        was_cached=event.was_cached,
        bytes=event.layer_bytes,
        causes=[
            StepCause(kind=each.kind.value, subject=each.subject, before=each.before, now=each.now)
            for each in why.causes
        ],
        more=why.more,
        compared_at=timestamp(why.compared_at_ns) if why.compared_at_ns else None,
    )


def _is_shown(step: StepPlanned) -> bool:
    """Somebody wrote it, and it changes files; or it brings the files of an image."""
    return bool(step.base) or bool(step.label and not step.is_metadata)


def _key(number: int) -> str:
    return f"step {number}"


def _stage(name: str) -> str:
    return f"stage-{name}" if name.isdigit() else name


def _title(step: StepPlanned) -> str:
    """An instruction on one line; a FROM with the full name of its image."""
    return f"FROM {canonical(step.base)}" if step.base else " ".join(step.label.split())
