"""The JSON in a frontend's answers: `frontend/subrequests` of BuildKit."""

from msgspec import Struct, field


class PositionShape(Struct, omit_defaults=True):
    """A line, counted from 1."""

    line: int = 0
    character: int = 0


class RangeShape(Struct):
    """Lines, both included."""

    start: PositionShape
    end: PositionShape


class LocationShape(Struct, omit_defaults=True):
    """Where something stands in a source, by the source's number."""

    sourceIndex: int = 0
    ranges: list[RangeShape] = field(default_factory=list)


class SourceShape(Struct):
    """A whole file; its data in base64."""

    filename: str
    language: str
    data: str


class LintWarning(Struct):
    """One finding of a check."""

    ruleName: str
    description: str
    url: str
    detail: str
    location: LocationShape


class BuildErrorShape(Struct):
    """Why the file can't be built."""

    message: str
    location: LocationShape


class LintAnswer(Struct, omit_defaults=True):
    """All findings."""

    warnings: list[LintWarning]
    sources: list[SourceShape]
    buildError: BuildErrorShape | None = None


class TargetShape(Struct, omit_defaults=True):
    """A stage."""

    name: str = ""
    default: bool = False
    description: str = ""
    base: str = ""
    platform: str = ""
    location: LocationShape | None = None


class TargetsAnswer(Struct):
    """All stages."""

    targets: list[TargetShape]
    sources: list[str]


class ArgumentShape(Struct, omit_defaults=True):
    """An argument of a build."""

    name: str
    description: str = ""
    value: str = ""
    location: LocationShape | None = None


class CacheShape(Struct, omit_defaults=True):
    """A cache mount."""

    ID: str
    location: LocationShape | None = None


class MountShape(Struct, omit_defaults=True):
    """A secret or an agent."""

    name: str
    required: bool = False
    location: LocationShape | None = None


class OutlineAnswer(Struct, omit_defaults=True):
    """What a target can be given."""

    name: str = ""
    description: str = ""
    args: list[ArgumentShape] = field(default_factory=list)
    secrets: list[MountShape] = field(default_factory=list)
    ssh: list[MountShape] = field(default_factory=list)
    cache: list[CacheShape] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
