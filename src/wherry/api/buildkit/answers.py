"""Answers to what a frontend is asked in place of a build: checks, outlines, targets.

Each answer is a map of texts, under BuildKit's names: `result.json` for programs, `result.txt` for
people, and for checks `result.statuscode`, which is what the client exits with.
"""

from base64 import b64encode
from collections.abc import Sequence

import msgspec

from wherry.api.buildkit.narration import Narrator, sentence, warned_range
from wherry.kit.values import dataclass, field
from wherry.model.build_inquiries import DescribedMount, DescribedTarget, Inquiry, Outline
from wherry.model.builds import BuildEvent, BuildWarned, FileDescribed
from wherry.wire.buildkit.inquiries import (
    ArgumentShape,
    BuildErrorShape,
    CacheShape,
    LintAnswer,
    LintWarning,
    LocationShape,
    MountShape,
    OutlineAnswer,
    PositionShape,
    RangeShape,
    SourceShape,
    TargetsAnswer,
    TargetShape,
)
from wherry.wire.buildkit.sources import Range

_RULE = "-" * 20
DESCRIBED = {
    "result.json": msgspec.json.encode(
        [
            {"name": f"frontend.{name}", "version": "1.0.0", "type": "rpc"}
            for name in (*(each.value for each in Inquiry), "subrequests.describe")
        ]
    ),
    "version": b"1.0.0",
}
"""What can be asked."""


@dataclass(slots=True)
class Answer:
    """The answer to one inquiry, as it comes together."""

    inquiry: Inquiry
    narrator: Narrator
    _warnings: list[BuildWarned] = field(default_factory=list)
    _described: FileDescribed = field(default_factory=FileDescribed)
    _error: Exception | None = None

    def take(self, event: BuildEvent) -> None:
        """One event of the build that is none; what is no answer is told."""
        match event:
            case BuildWarned(rule=rule) if rule:
                self._warnings.append(event)
            case FileDescribed():
                self._described = event
            case _:
                self.narrator.tell(event)

    def fail(self, error: Exception) -> None:
        """The file can't be built: to checks, that is one finding more. Raises: the error."""
        if self.inquiry is not Inquiry.CHECK:
            raise error
        self._error = error

    def metadata(self) -> dict[str, bytes]:
        """The answer."""
        document, text = self._parts()
        found = {
            "result.json": msgspec.json.format(msgspec.json.encode(document), indent=2),
            "result.txt": text.encode(),
            "version": b"1.0.0",
        }
        if self.inquiry is Inquiry.CHECK:
            found["result.statuscode"] = b"1" if self._warnings or self._error else b"0"
        return found

    def _parts(self) -> tuple[msgspec.Struct, str]:
        match self.inquiry:
            case Inquiry.CHECK:
                return self._lint(), self._lint_text()
            case Inquiry.TARGETS:
                targets = self._described.targets
                return self._targets(targets), targets_text(targets)
            case Inquiry.OUTLINE:
                outline = self._described.outline or Outline(name="", description="")
                return self._outline(outline), outline_text(outline)

    # -- checks ------------------------------------------------------------------------------

    def _lint(self) -> LintAnswer:
        source = SourceShape(
            filename=self.narrator.dockerfile,
            language="Dockerfile",
            data=b64encode(self.narrator.content).decode(),
        )
        error = None
        if self._error is not None:
            ranges = self.narrator.failed_ranges(self._error)
            error = BuildErrorShape(message=sentence(self._error), location=_location(ranges))
        return LintAnswer(
            warnings=[
                LintWarning(
                    ruleName=each.rule,
                    description=each.description,
                    url=each.url,
                    detail=each.text,
                    location=_location([warned_range(each)]),
                )
                for each in self._warnings
            ],
            sources=[source],
            buildError=error,
        )

    def _lint_text(self) -> str:
        """As buildx shows it: by rule, with the lines that are meant."""
        lines: list[str] = []
        for each in sorted(self._warnings, key=lambda each: (each.rule, each.line)):
            url = f" - {each.url}" if each.url else ""
            lines += ["", f"WARNING: {each.rule}{url}", each.text]
            lines += self._excerpt([warned_range(each)])
        if self._error is not None:
            ranges = self.narrator.failed_ranges(self._error)
            lines += ["", f"ERROR: {sentence(self._error)}", *self._excerpt(ranges)]
        return "".join(f"{line}\n" for line in lines)

    def _excerpt(self, ranges: Sequence[Range]) -> list[str]:
        if not ranges or ranges[0].start is None or ranges[0].end is None:
            return []
        text = self.narrator.content.decode(errors="replace").split("\n")
        first, last = ranges[0].start.line, ranges[0].end.line
        around = 2 if first == last else 1
        begin, end = max(first - around, 1), min(last + around, len(text))
        shown = [
            f" {number:3d} | {'>>>' if first <= number <= last else '   '} {text[number - 1]}"
            for number in range(begin, end + 1)
        ]
        return [f"{self.narrator.dockerfile}:{first}", _RULE, *shown, _RULE]

    # -- descriptions ------------------------------------------------------------------------

    def _targets(self, targets: Sequence[DescribedTarget]) -> TargetsAnswer:
        return TargetsAnswer(
            targets=[
                TargetShape(
                    name=each.name,
                    default=each.is_default,
                    description=each.description,
                    base=each.base,
                    platform=each.platform,
                    location=_at(each.line),
                )
                for each in targets
            ],
            sources=[b64encode(self.narrator.content).decode()],
        )

    def _outline(self, outline: Outline) -> OutlineAnswer:
        return OutlineAnswer(
            name=outline.name,
            description=outline.description,
            args=[
                ArgumentShape(
                    name=each.name,
                    description=each.description,
                    value=each.value,
                    location=_at(each.line),
                )
                for each in outline.arguments
            ],
            secrets=[_mount(each) for each in outline.secrets],
            ssh=[_mount(each) for each in outline.agents],
            cache=[CacheShape(ID=each.name, location=_at(each.line)) for each in outline.caches],
            sources=[b64encode(self.narrator.content).decode()],
        )


def targets_text(targets: Sequence[DescribedTarget]) -> str:
    """A list of stages."""
    rows = [("TARGET", "DESCRIPTION")]
    for each in targets:
        default = "(default)" if each.is_default else ""
        rows.append((f"{each.name} {default}".strip(), each.description))
    return _table(rows)


def outline_text(outline: Outline) -> str:
    """Lists of what can be given, those that have something."""
    head = [("TARGET:", outline.name)] if outline.name else []
    head += [("DESCRIPTION:", outline.description)] if outline.description else []
    arguments = [("BUILD ARG", "VALUE", "DESCRIPTION")]
    arguments += [(each.name, each.value, each.description) for each in outline.arguments]
    tables = [_table(head)] if head else []
    tables += [_table(arguments)] if outline.arguments else []
    for title, mounts in (("SECRET", outline.secrets), ("SSH", outline.agents)):
        rows = [(each.name, "true" if each.is_required else "") for each in mounts]
        tables += [_table([(title, "REQUIRED"), *rows])] if mounts else []
    if outline.caches:
        tables.append(_table([("CACHE MOUNT",), *((each.name,) for each in outline.caches)]))
    return "\n".join(tables)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    lines = (
        "".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def _mount(mount: DescribedMount) -> MountShape:
    return MountShape(name=mount.name, required=mount.is_required, location=_at(mount.line))


def _at(line: int) -> LocationShape:
    place = PositionShape(line=line)
    return LocationShape(ranges=[RangeShape(start=place, end=place)])


def _location(ranges: Sequence[Range]) -> LocationShape:
    return LocationShape(
        ranges=[
            RangeShape(
                start=PositionShape(line=each.start.line if each.start else 0),
                end=PositionShape(line=each.end.line if each.end else 0),
            )
            for each in ranges
        ]
    )
