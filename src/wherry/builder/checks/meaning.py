"""Checks of what a Dockerfile says in one build: with its variables, its images, its files.

They go through the steps as they were planned, so of stages that the target needs alone. Names are
followed, not values: which variables there are does not depend on what they hold.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from wherry.builder import dockerfile as language
from wherry.builder.checks.rules import Finding, suggestion
from wherry.builder.checks.writing import Source
from wherry.builder.planning import PROXIES, Base, PlannedStep, Step, is_boundary
from wherry.builder.solver import Vertex
from wherry.builder.sources.remote import is_remote
from wherry.images import parse
from wherry.kit.path_patterns import Ignore
from wherry.kit.values import dataclass, replace
from wherry.model.errors.images import InvalidReference
from wherry.oci.image_spec import Platform
from wherry.oci.platforms import formatted


@dataclass(slots=True)
class _Stage:
    """What is known of a stage up to a step: the names that words may use, and where it works."""

    arguments: set[str]
    environment: set[str]
    has_directory: bool = False
    """A WORKDIR of this Dockerfile has said where."""
    is_certain: bool = True
    """Whether all names are known: the base is here."""

    def take(self, instruction: language.Instruction) -> None:
        """One step more."""
        match instruction:
            case language.Arg(pairs=pairs):
                self.arguments.update(name for name, _default in pairs)
            case language.Env(pairs=pairs):
                self.environment.update(name for name, _value in pairs)
            case language.WorkDir():
                self.has_directory = True
            case _:
                pass


def meaning_findings(
    source: Source,
    vertices: Sequence[Vertex[PlannedStep]],
    ignore: Ignore,
) -> list[Finding]:
    """What is found in planned steps, each behind what it stands on."""
    found: list[Finding] = []
    stages: dict[Vertex[PlannedStep], _Stage] = {}
    for vertex in vertices:
        step = vertex.step
        if isinstance(step, Base):
            stages[vertex] = _begun(step)
            found += _base_platform(source, vertex, step)
            continue
        assert vertex.parent is not None
        stage = stages[vertex.parent]
        if is_boundary(step):
            stage = replace(stage, arguments={*stage.arguments}, environment={*stage.environment})
        else:
            found += _step(source, step, stage, ignore)
            stage.take(step.instruction)
        stages[vertex] = stage
    return found


# -- FROM ------------------------------------------------------------------------------------


def base_findings(source: Source, platform_arguments: Mapping[str, str]) -> Iterator[Finding]:
    """Arguments that FROM uses and nobody declared, or whose defaults make no name."""
    defaults = dict(platform_arguments)
    for line in source.file.arguments:
        for name, default in line.pairs:
            scope = language.Scope(defaults, source.file.escape)
            defaults[name] = _expanded(scope, default or "")
    for stage in source.file.stages:
        start = stage.start
        scope = language.Scope(defaults, source.file.escape)
        base = _expanded(scope, start.base)
        if scope.used - scope.missing and not _is_name(base):
            detail = (
                f"Default value for ARG {start.base} results in empty or invalid base image name"
            )
            yield source.finding("InvalidDefaultArgInFrom", detail, start.line)
        _expanded(scope, start.platform)
        for name in sorted(scope.missing):
            detail = f"FROM argument '{name}' is not declared{suggestion(name, defaults)}"
            yield source.finding("UndefinedArgInFrom", detail, start.line)


def _expanded(scope: language.Scope, text: str) -> str:
    """A word with its variables; as it is where the build will refuse it."""
    try:
        return scope.word(text)
    except ValueError:
        return text


def _is_name(text: str) -> bool:
    try:
        parse(text)
    except InvalidReference:
        return False
    return True


def _base_platform(source: Source, vertex: Vertex[PlannedStep], base: Base) -> Iterator[Finding]:
    document = base.state.document
    actual = formatted(
        Platform(
            architecture=document.architecture, os=document.os, variant=document.variant or ""
        )
    )
    if vertex.base and base.platform and not base.is_missing and actual != base.platform:
        detail = (
            f'Base image {base.reference} was pulled with platform "{actual}", expected '
            f'"{base.platform}" for current build'
        )
        yield source.finding("InvalidBaseImagePlatform", detail, vertex.line)


# -- steps -----------------------------------------------------------------------------------


def _begun(base: Base) -> _Stage:
    environment = {each.partition("=")[0] for each in base.state.document.config.env}
    return _Stage(set(), environment, is_certain=not base.is_missing)


def _step(source: Source, step: Step, stage: _Stage, ignore: Ignore) -> Iterator[Finding]:
    instruction = step.instruction
    if stage.is_certain and instruction.line:
        yield from _undefined(source, instruction, stage)
    match instruction:
        case language.WorkDir(path=path) if not stage.has_directory:
            if not path.startswith(("/", "$")):
                detail = (
                    f'Relative workdir "{path}" can have unexpected results if the base image '
                    "changes"
                )
                yield source.finding("WorkdirRelativePath", detail, instruction.line)
        case language.Copy(sources=sources, origin="") | language.Add(sources=sources):
            verb = "Add" if isinstance(instruction, language.Add) else "Copy"
            for path in sources:
                if _is_ignored(path, ignore):
                    detail = (
                        f'Attempting to {verb} file "{path}" that is excluded by .dockerignore'
                    )
                    yield source.finding("CopyIgnoredFile", detail, instruction.line)
        case _:
            pass


def _is_ignored(path: str, ignore: Ignore) -> bool:
    clean = posixpath.normpath("/" + path).lstrip("/")
    if not clean or "$" in path or any(each in path for each in "*?[") or is_remote(path):
        return False
    return ignore.excludes(clean)


def _undefined(
    source: Source, instruction: language.Instruction, stage: _Stage
) -> Iterator[Finding]:
    """Variables that words use and nobody set."""
    words = [each for each in _words(instruction) if "$" in each]
    if not words:
        return
    names = {*stage.arguments, *stage.environment}
    scope = language.Scope(dict.fromkeys([*names, *PROXIES], ""), source.file.escape)
    for text in words:
        _expanded(scope, text)
    for name in sorted(scope.missing):
        detail = f"Usage of undefined variable '${name}'{suggestion(name, names, '$')}"
        yield source.finding("UndefinedVar", detail, instruction.line)


def _words(instruction: language.Instruction) -> Sequence[str]:
    """The words in which the builder puts variables."""
    match instruction:
        case language.Env(pairs=pairs) | language.Label(pairs=pairs):
            return [word for pair in pairs for word in pair]
        case language.Arg(pairs=pairs):
            return [default for _name, default in pairs if default is not None]
        case language.Copy(sources=sources, target=target, owner=owner, mode=mode):
            return [*sources, target, owner, mode]
        case language.Add(sources=sources, target=target, owner=owner, mode=mode):
            return [*sources, target, owner, mode]
        case language.Run(mounts=mounts):
            return [value for mount in mounts for value in mount.options.values()]
        case language.WorkDir(path=word) | language.User(user=word):
            return [word]
        case language.StopSignal(signal=word):
            return [word]
        case language.Expose(ports=words) | language.Volume(paths=words):
            return words
        case _:
            return []
