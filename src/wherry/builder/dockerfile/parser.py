"""From logical lines to instructions and stages."""

import difflib
import re
from collections.abc import Callable, Mapping

from wherry.builder.dockerfile import words
from wherry.builder.dockerfile.flags import NO_FLAGS, Flags, duration_ns, run_mount, take_flags
from wherry.builder.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    CommandLine,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthCheckWish,
    Inline,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    Stage,
    StopSignal,
    User,
    Volume,
    WorkDir,
)
from wherry.builder.dockerfile.lines import Line, read_text
from wherry.kit.values import dataclass
from wherry.model.errors.builds import DockerfileRefused

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_ONBUILD = re.compile(r"onbuild\s*", re.IGNORECASE)


def parse(content: bytes) -> Dockerfile:
    """A whole Dockerfile. Raises: DockerfileRefused."""
    text = read_text(content)
    arguments: list[Arg] = []
    starts: list[From] = []
    steps: list[list[Instruction]] = []
    lines = []
    for line in text.logical():
        lines.append(line)
        instruction = _instruction(line, text.escape)
        if isinstance(instruction, From):
            starts.append(instruction)
            steps.append([])
        elif steps:
            steps[-1].append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            raise DockerfileRefused(line.number, "no build stage in current context")
    if not starts and not arguments:
        raise DockerfileRefused(0, "file with no instructions")
    if not starts:
        raise DockerfileRefused(0, "dockerfile contains no stages to build")
    return Dockerfile(
        stages=tuple(
            Stage(start=start, steps=tuple(each))
            for start, each in zip(starts, steps, strict=True)
        ),
        arguments=tuple(arguments),
        lines=tuple(lines),
        escape=text.escape,
        directives=text.directives,
    )


def parse_trigger(trigger: str) -> Instruction:
    """The instruction that an image's ONBUILD left. Raises: DockerfileRefused."""
    text = read_text(trigger.encode(errors="surrogateescape"))
    line = next(text.logical(), None)
    if line is None:
        raise DockerfileRefused(0, "file with no instructions")
    instruction = _instruction(line, text.escape)
    if isinstance(instruction, From | OnBuild | Maintainer):
        raise DockerfileRefused(0, f"{_word(line).upper()} isn't allowed as an ONBUILD trigger")
    return instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One instruction's parts, before they mean anything."""

    line: Line
    rest: str
    """What is behind the flags."""
    flags: Flags
    escape: str

    def words(self) -> list[str]:
        """The words of the JSON form, or those between blanks."""
        found = words.json_words(self.rest)
        return list(found) if found is not None else words.between_blanks(self.rest)

    def command(self, *, trims_files: bool = False) -> CommandLine:
        """A command in one of its two forms."""
        found = words.json_words(self.rest)
        files = tuple(
            Inline(name=each.name, content=each.content, expands=each.expands)
            if not (each.strips_tabs and trims_files)
            else Inline(
                name=each.name, content=words.without_tabs(each.content), expands=each.expands
            )
            for each in self.line.heredocs
        )
        if found is not None:
            return CommandLine(words=found, is_for_shell=False, files=files)
        return CommandLine(words=(self.rest,) if self.rest else (), is_for_shell=True, files=files)


def _word(line: Line) -> str:
    return words.BLANKS.split(line.text, maxsplit=1)[0]


def _instruction(line: Line, escape: str) -> Instruction | From:
    word = _word(line)
    kind = word.upper()
    try:
        parse_one = _PARSERS.get(kind)
        if parse_one is None:
            raise ValueError(f"unknown instruction: {word}{_suggestion(kind)}")
        taken, rest = words.flags(line.text[len(word) :], escape)
        flags = take_flags(taken, _FLAGS.get(kind, NO_FLAGS))
        return parse_one(_Source(line=line, rest=rest.strip(), flags=flags, escape=escape))
    except ValueError as error:
        raise DockerfileRefused(line.number, str(error)) from None


def _suggestion(word: str) -> str:
    """What was probably meant; only asked for words that could be a slip."""
    if len(word) > 20:
        return ""
    near = difflib.get_close_matches(word, _PARSERS, n=1, cutoff=0.7)
    return f" (did you mean {near[0]}?)" if near else ""


# -- what an instruction needs ---------------------------------------------------------------


def _one(source: _Source, name: str) -> str:
    if not source.rest:
        raise ValueError(f"{name} requires exactly one argument")
    return source.rest


def _some(source: _Source, name: str) -> list[str]:
    found = source.words()
    if not found:
        raise ValueError(f"{name} requires at least one argument")
    return found


def _pairs(source: _Source, name: str) -> tuple[tuple[str, str], ...]:
    found = words.pairs(source.rest, source.escape, name)
    if not found:
        raise ValueError(f"{name} requires at least one argument")
    if any(not key for key, _value in found):
        raise ValueError(f"{name} names can not be blank")
    return found


# -- instructions ----------------------------------------------------------------------------


def _from(source: _Source) -> From:
    found = words.between_blanks(source.rest)
    name = ""
    if len(found) == 3 and found[1].upper() == "AS":
        name = found[2].lower()
        if not _STAGE_NAME.fullmatch(name):
            raise ValueError(
                f'invalid name for build stage: "{found[2]}", name can\'t start with a number '
                "or contain symbols"
            )
    elif len(found) != 1:
        raise ValueError("FROM requires either one or three arguments")
    return From(
        line=source.line.number,
        text=source.line.text,
        base=found[0],
        name=name,
        platform=source.flags.text("platform"),
    )


def _run(source: _Source) -> Run:
    command = source.command()
    if not command.words:
        raise ValueError("RUN requires at least one argument")
    network = source.flags.text("network")
    if network not in ("", "default", "none", "host"):
        raise ValueError(f"invalid network mode: {network}")
    security = source.flags.text("security")
    if security not in ("", "sandbox", "insecure"):
        raise ValueError(f'security "{security}" is not valid')
    return Run(
        line=source.line.number,
        text=source.line.text,
        command=command,
        mounts=tuple(run_mount(each) for each in source.flags.texts("mount")),
        network=network,
        security=security,
    )


def _sources(source: _Source, name: str) -> tuple[tuple[str, ...], tuple[Inline, ...], str]:
    found = words.json_words(source.rest)
    found = tuple(words.split(source.rest, source.escape)) if found is None else found
    if len(found) < 2:
        provided = ", but only one was provided. Destination could not be determined"
        raise ValueError(f"{name} requires at least two arguments{provided if found else ''}")
    if words.heredoc_mark(found[-1]) is not None:
        raise ValueError(f"{name} cannot accept a heredoc as a destination")
    documents = iter(source.line.heredocs)
    paths, inlines = [], []
    for word in found[:-1]:
        document = next(documents, None) if words.heredoc_mark(word) is not None else None
        if document is None:
            paths.append(word)
            continue
        text = document.content
        inlines.append(
            Inline(
                name=document.name,
                content=words.without_tabs(text) if document.strips_tabs else text,
                expands=document.expands,
            )
        )
    return tuple(paths), tuple(inlines), found[-1]


def _copy(source: _Source) -> Copy:
    paths, inlines, target = _sources(source, "COPY")
    flags = source.flags
    return Copy(
        line=source.line.number,
        text=source.line.text,
        sources=paths,
        inlines=inlines,
        target=target,
        origin=flags.text("from"),
        owner=flags.text("chown"),
        mode=flags.text("chmod"),
        is_linked=flags.claim("link"),
        keeps_parents=flags.claim("parents"),
        excluded=flags.texts("exclude"),
    )


def _add(source: _Source) -> Add:
    paths, inlines, target = _sources(source, "ADD")
    flags = source.flags
    return Add(
        line=source.line.number,
        text=source.line.text,
        sources=paths,
        inlines=inlines,
        target=target,
        owner=flags.text("chown"),
        mode=flags.text("chmod"),
        is_linked=flags.claim("link"),
        checksum=flags.text("checksum"),
        unpacks=flags.claim("unpack") if flags.has("unpack") else None,
        keeps_git_dir=flags.claim("keep-git-dir"),
        excluded=flags.texts("exclude"),
    )


def _env(source: _Source) -> Env:
    pairs = _pairs(source, "ENV")
    return Env(line=source.line.number, text=source.line.text, pairs=pairs)


def _label(source: _Source) -> Label:
    pairs = _pairs(source, "LABEL")
    return Label(line=source.line.number, text=source.line.text, pairs=pairs)


def _arg(source: _Source) -> Arg:
    found = words.split(source.rest, source.escape)
    if not found:
        raise ValueError("ARG requires at least one argument")
    pairs: list[tuple[str, str | None]] = []
    for word in found:
        name, equals, value = word.partition("=")
        if not name:
            raise ValueError("ARG names can not be blank")
        pairs.append((name, value if equals else None))
    return Arg(line=source.line.number, text=source.line.text, pairs=tuple(pairs))


def _expose(source: _Source) -> Expose:
    found = _some(source, "EXPOSE")
    return Expose(line=source.line.number, text=source.line.text, ports=tuple(found))


def _volume(source: _Source) -> Volume:
    found = _some(source, "VOLUME")
    if any(not each.strip() for each in found):
        raise ValueError("VOLUME specified can not be an empty string")
    return Volume(line=source.line.number, text=source.line.text, paths=tuple(found))


def _user(source: _Source) -> User:
    return User(line=source.line.number, text=source.line.text, user=_one(source, "USER"))


def _workdir(source: _Source) -> WorkDir:
    path = _one(source, "WORKDIR")
    return WorkDir(line=source.line.number, text=source.line.text, path=path)


def _cmd(source: _Source) -> Cmd:
    return Cmd(line=source.line.number, text=source.line.text, command=source.command())


def _entrypoint(source: _Source) -> Entrypoint:
    command = source.command()
    return Entrypoint(line=source.line.number, text=source.line.text, command=command)


def _shell(source: _Source) -> Shell:
    found = words.json_words(source.rest)
    if found is None:
        if not source.rest:
            raise ValueError("SHELL requires at least one argument")
        raise ValueError("SHELL requires the arguments to be in JSON form")
    if not found:
        raise ValueError("SHELL requires at least one argument")
    return Shell(line=source.line.number, text=source.line.text, words=found)


def _stop_signal(source: _Source) -> StopSignal:
    signal = _one(source, "STOPSIGNAL")
    if len(signal.split()) != 1:
        raise ValueError("STOPSIGNAL requires exactly one argument")
    return StopSignal(line=source.line.number, text=source.line.text, signal=signal)


def _healthcheck(source: _Source) -> HealthCheckWish:
    kind, _blank, rest = source.rest.partition(" ")
    if not kind:
        raise ValueError("HEALTHCHECK requires at least one argument")
    number, text = source.line.number, source.line.text
    if kind.upper() == "NONE":
        if rest.strip():
            raise ValueError("HEALTHCHECK NONE takes no arguments")
        return HealthCheckWish(line=number, text=text, command=None)
    if kind.upper() != "CMD":
        raise ValueError(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    found = words.json_words(rest)
    if not rest.strip() or found == ():
        raise ValueError("Missing command after HEALTHCHECK CMD")
    command = CommandLine(words=found or (rest.strip(),), is_for_shell=found is None)
    flags = source.flags
    retries = flags.text("retries") or "0"
    if not re.fullmatch(r"-?[0-9]{1,9}", retries):
        raise ValueError(f'strconv.ParseInt: parsing "{retries}": invalid syntax')
    if int(retries) < 0:
        raise ValueError(f"--retries cannot be negative ({retries})")
    return HealthCheckWish(
        line=number,
        text=text,
        command=command,
        interval_ns=duration_ns("interval", flags.text("interval")),
        timeout_ns=duration_ns("timeout", flags.text("timeout")),
        start_period_ns=duration_ns("start-period", flags.text("start-period")),
        start_interval_ns=duration_ns("start-interval", flags.text("start-interval")),
        retries=int(retries),
    )


def _onbuild(source: _Source) -> OnBuild:
    if not source.rest:
        raise ValueError("ONBUILD requires at least one argument")
    kind = source.rest.split(None, 1)[0].upper()
    if kind == "ONBUILD":
        raise ValueError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if kind in ("FROM", "MAINTAINER"):
        raise ValueError(f"{kind} isn't allowed as an ONBUILD trigger")
    trigger = _ONBUILD.sub("", source.line.text, count=1)
    trigger += "".join(f"\n{each.content}{each.name}" for each in source.line.heredocs)
    _instruction(
        Line(
            number=source.line.number,
            text=trigger.partition("\n")[0],
            heredocs=source.line.heredocs,
        ),
        source.escape,
    )
    return OnBuild(line=source.line.number, text=source.line.text, trigger=trigger)


def _maintainer(source: _Source) -> Maintainer:
    name = _one(source, "MAINTAINER")
    return Maintainer(line=source.line.number, text=source.line.text, name=name)


_PARSERS: Mapping[str, Callable[[_Source], Instruction | From]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}

_FLAGS: Mapping[str, Mapping[str, str]] = {
    "ADD": {
        "chown": "text",
        "chmod": "text",
        "link": "claim",
        "keep-git-dir": "claim",
        "checksum": "text",
        "unpack": "claim",
        "exclude": "list",
    },
    "COPY": {
        "from": "text",
        "chown": "text",
        "chmod": "text",
        "link": "claim",
        "parents": "claim",
        "exclude": "list",
    },
    "FROM": {"platform": "text"},
    "HEALTHCHECK": {
        "interval": "text",
        "timeout": "text",
        "start-period": "text",
        "start-interval": "text",
        "retries": "text",
    },
    "RUN": {"mount": "list", "network": "text", "security": "text"},
}
