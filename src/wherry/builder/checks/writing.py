"""Checks of how a Dockerfile is written: nothing is known but its text."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from wherry.builder import dockerfile as language
from wherry.builder.checks.rules import RULES, Finding

_RESERVED = ("context", "scratch")
_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)",
    re.IGNORECASE,
)
_PUBLIC = re.compile(r"(?:_|^)public(?:_|$)", re.IGNORECASE)
_PORT = re.compile(r"[0-9]+(?:-[0-9]+)?")


class Source:
    """A Dockerfile, and where its instructions end."""

    def __init__(self, file: language.Dockerfile) -> None:
        self.file = file
        self._ends = {each.number: each.last for each in file.lines}

    def finding(self, name: str, detail: str, line: int) -> Finding:
        """That a rule was not kept in the instruction that begins on a line."""
        return Finding(RULES[name], detail, line, self._ends.get(line, line))


def writing_findings(source: Source) -> list[Finding]:
    """All of them, in the order of the file."""
    found = [*_casing(source), *_lines(source), *_stage_names(source), *_descriptions(source)]
    for stage in source.file.stages:
        found += [*_platforms(source, stage), *_twice(source, stage), *_steps(source, stage)]
    for argument in source.file.arguments:
        found += _secrets(source, argument)
    return sorted(found, key=lambda each: each.first_line)


# -- lines -----------------------------------------------------------------------------------


def _casing(source: Source) -> Iterator[Finding]:
    words = [(each.text.split(None, 1)[0], each.number) for each in source.file.lines]
    upper = sum(word.isupper() for word, _line in words)
    lower = sum(word.islower() for word, _line in words)
    is_lower = lower > upper
    majority = "lowercase" if is_lower else "uppercase"
    for word, line in words:
        if word != (word.lower() if is_lower else word.upper()):
            detail = f"Command '{word}' should match the case of the command majority ({majority})"
            yield source.finding("ConsistentInstructionCasing", detail, line)


def _lines(source: Source) -> Iterator[Finding]:
    for line in source.file.lines:
        word, _blank, rest = line.text.partition(" ")
        if line.has_empty_part:
            yield source.finding("NoEmptyContinuation", "Empty continuation line", line.number)
        kind = word.upper()
        if kind in ("ENV", "LABEL") and "=" not in rest.split(None, 1)[0]:
            detail = (
                f'"{kind} key=value" should be used instead of legacy "{kind} key value" format'
            )
            yield source.finding("LegacyKeyValueFormat", detail, line.number)


def _descriptions(source: Source) -> Iterator[Finding]:
    names = {stage.start.line: ("FROM", [stage.start.name]) for stage in source.file.stages}
    for argument in source.file.arguments:
        names[argument.line] = ("ARG", [name for name, _default in argument.pairs])
    for stage in source.file.stages:
        for step in stage.steps:
            if isinstance(step, language.Arg):
                names[step.line] = ("ARG", [name for name, _default in step.pairs])
    for line in source.file.lines:
        kind, known = names.get(line.number, ("", []))
        if not line.comments or not any(known):
            continue
        if line.comments[-1].split(" ", 1)[0] not in known:
            name = known[0] if len(known) == 1 else "<arg_key>"
            detail = f"Comment for {kind} should follow the format: `# {name} <description>`"
            yield source.finding("InvalidDefinitionDescription", detail, line.number)


# -- stages ----------------------------------------------------------------------------------


def _stage_names(source: Source) -> Iterator[Finding]:
    seen: Counter[str] = Counter()
    for stage in source.file.stages:
        start = stage.start
        if not start.name:
            continue
        first, *_rest, keyword, name = start.text.split()
        if name != name.lower():
            detail = f"Stage name '{name}' should be lowercase"
            yield source.finding("StageNameCasing", detail, start.line)
        if (first.isupper(), first.islower()) != (keyword.isupper(), keyword.islower()):
            detail = f"'{keyword}' and '{first}' keywords' casing do not match"
            yield source.finding("FromAsCasing", detail, start.line)
        if start.name in _RESERVED:
            detail = f'Stage name should not use the same name as reserved stage "{start.name}"'
            yield source.finding("ReservedStageName", detail, start.line)
        if seen[start.name]:
            detail = f'Duplicate stage name "{start.name}", stage names should be unique'
            yield source.finding("DuplicateStageName", detail, start.line)
        seen[start.name] += 1


def _platforms(source: Source, stage: language.Stage) -> Iterator[Finding]:
    start, platform = stage.start, stage.start.platform
    if platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
        detail = (
            f"Setting platform to predefined {platform} in FROM is redundant as this is the "
            "default behavior"
        )
        yield source.finding("RedundantTargetPlatform", detail, start.line)
    elif platform and "$" not in platform and not _names_platform(start.name, platform):
        detail = f'FROM --platform flag should not use constant value "{platform}"'
        yield source.finding("FromPlatformFlagConstDisallowed", detail, start.line)


def _names_platform(name: str, platform: str) -> bool:
    """Whether a stage is one of several, each for its platform, that another one chooses from."""
    return any(word in name for word in platform.split("/")[1:] if word)


# -- instructions ----------------------------------------------------------------------------


def _twice(source: Source, stage: language.Stage) -> Iterator[Finding]:
    """Of two of a kind, the first one is in vain."""
    for kind, name in (
        (language.Cmd, "CMD"),
        (language.Entrypoint, "ENTRYPOINT"),
        (language.HealthCheckWish, "HEALTHCHECK"),
    ):
        places = [step.line for step in stage.steps if isinstance(step, kind)]
        for line in places[:-1]:
            detail = (
                f"Multiple {name} instructions should not be used in the same stage because only "
                "the last one will be used"
            )
            yield source.finding("MultipleInstructionsDisallowed", detail, line)


def _steps(source: Source, stage: language.Stage) -> Iterator[Finding]:
    has_shell = False
    for step in stage.steps:
        match step:
            case language.Shell():
                has_shell = True
            case language.Cmd(command=command) | language.Entrypoint(command=command):
                if command.is_for_shell and command.words and not has_shell:
                    name = "CMD" if isinstance(step, language.Cmd) else "ENTRYPOINT"
                    detail = (
                        f"JSON arguments recommended for {name} to prevent unintended behavior "
                        "related to OS signals"
                    )
                    yield source.finding("JSONArgsRecommended", detail, step.line)
            case language.Maintainer():
                detail = "Maintainer instruction is deprecated in favor of using label"
                yield source.finding("MaintainerDeprecated", detail, step.line)
            case language.Expose(ports=ports):
                yield from _ports(source, ports, step.line)
            case language.Arg() | language.Env():
                yield from _secrets(source, step)
            case _:
                pass


def _ports(source: Source, ports: Sequence[str], line: int) -> Iterator[Finding]:
    for port in ports:
        number, _slash, protocol = port.partition("/")
        if "$" in port:
            continue
        if protocol != protocol.lower():
            detail = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield source.finding("ExposeProtoCasing", detail, line)
        if not _PORT.fullmatch(number):
            detail = (
                "EXPOSE instruction should not define an IP address or host-port mapping, found "
                f"'{port}'"
            )
            yield source.finding("ExposeInvalidFormat", detail, line)


def _secrets(source: Source, step: language.Arg | language.Env) -> Iterator[Finding]:
    kind = "ARG" if isinstance(step, language.Arg) else "ENV"
    for name, _value in step.pairs:
        if _SECRET.search(name) and not _PUBLIC.search(name):
            detail = f'Do not use ARG or ENV instructions for sensitive data ({kind} "{name}")'
            yield source.finding("SecretsUsedInArgOrEnv", detail, step.line)
