"""Instructions that change what an image says, and no file of it."""

import posixpath
import sys

from wherry.builder import dockerfile as language
from wherry.images import parse_exposed
from wherry.kit.durations import duration_text
from wherry.kit.values import dataclass, replace
from wherry.model.errors.builds import DockerfileRefused
from wherry.model.signals import parse_signal
from wherry.oci.image_spec import ExecutionDefaults, Healthcheck

DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True)
class Configured:
    """What an instruction makes of a configuration, and how the history tells it."""

    config: ExecutionDefaults
    comment: str
    author: str | None = None


def configured(
    step: language.Instruction, config: ExecutionDefaults, scope: language.Scope
) -> Configured | None:
    """None for an instruction that is about files. Raises: DockerfileRefused."""
    try:
        return _configured(step, config, scope)
    except ValueError as error:
        raise DockerfileRefused(step.line, str(error)) from None


def _configured(
    step: language.Instruction, config: ExecutionDefaults, scope: language.Scope
) -> Configured | None:
    match step:
        case language.Env(pairs=pairs):
            return _env(config, [(scope.word(name), scope.word(value)) for name, value in pairs])
        case language.Label(pairs=pairs):
            labels = {scope.word(name): scope.word(value) for name, value in pairs}
            told = " ".join(f"{name}={value}" for name, value in labels.items())
            labelled = replace(config, labels={**config.labels, **labels})
            return Configured(labelled, f"LABEL {told}")
        case language.Expose(ports=ports):
            texts = [word for port in ports for word in scope.words(port)]
            found = {str(port) for text in texts for port in parse_exposed(text)}
            exposed = tuple(sorted({*found, *config.exposed_ports}))
            told = f"EXPOSE {' '.join(sorted(texts))}"
            return Configured(replace(config, exposed_ports=exposed), told)
        case language.Volume(paths=paths):
            places = [scope.word(path) for path in paths]
            volumes = tuple(sorted({*places, *config.volumes}))
            return Configured(replace(config, volumes=volumes), f"VOLUME [{' '.join(places)}]")
        case language.User(user=user):
            name = scope.word(user)
            return Configured(replace(config, user=name), f"USER {name}")
        case language.Cmd(command=command):
            words = for_shell(command, config)
            return Configured(replace(config, cmd=words), f"CMD {quoted(words)}")
        case language.Entrypoint(command=command):
            words = for_shell(command, config)
            # What was the command of another program says nothing to this one.
            entered = replace(config, entrypoint=words or None, cmd=None)
            return Configured(entered, f"ENTRYPOINT {quoted(words)}")
        case language.Shell(words=words):
            return Configured(replace(config, shell=words), f"SHELL [{' '.join(words)}]")
        case language.StopSignal(signal=signal):
            name = scope.word(signal)
            parse_signal(name)
            return Configured(replace(config, stop_signal=name), f"STOPSIGNAL {name}")
        case language.HealthCheckWish():
            return _health(config, step)
        case language.OnBuild(trigger=trigger):
            triggers = (*config.on_build, trigger)
            return Configured(replace(config, on_build=triggers), f"ONBUILD {trigger}")
        case language.Maintainer(name=name):
            return Configured(config, f"MAINTAINER {name}", author=name)
        case language.Arg():
            told = " ".join(
                name if value is None else f"{name}={value}" for name, value in step.pairs
            )
            return Configured(config, f"ARG {told}")
        case _:
            return None


def _env(config: ExecutionDefaults, pairs: list[tuple[str, str]]) -> Configured:
    present = dict(each.partition("=")[::2] for each in config.env)
    if any(not name or "\0" in name + value for name, value in pairs):
        raise ValueError("ENV names can not be blank")
    present |= dict(pairs)
    env = tuple(f"{name}={value}" for name, value in present.items())
    told = " ".join(f"{name}={value}" for name, value in pairs)
    return Configured(replace(config, env=env), f"ENV {told}")


def _health(config: ExecutionDefaults, step: language.HealthCheckWish) -> Configured:
    if step.command is None:
        check = Healthcheck(test=("NONE",))
        return Configured(replace(config, healthcheck=check), f"HEALTHCHECK {_check(check)}")
    kind = "CMD-SHELL" if step.command.is_for_shell else "CMD"
    check = Healthcheck(
        test=(kind, *step.command.words),
        interval=step.interval_ns,
        timeout=step.timeout_ns,
        start_period=step.start_period_ns,
        start_interval=step.start_interval_ns,
        retries=step.retries,
    )
    return Configured(replace(config, healthcheck=check), f"HEALTHCHECK {_check(check)}")


_NAMED = "\a\b\f\n\r\t\v'\\"
_ESCAPES = {each: f"\\{name}" for each, name in zip(_NAMED, "abfnrtv'\\", strict=True)}


def _check(check: Healthcheck) -> str:
    """A check as Go's %q writes the structure that Docker keeps it in."""
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    told = " ".join(f'"{duration_text(each)}"' for each in times)
    return f"&{{{quoted(check.test)} {told} {_rune(check.retries)}}}"


def _rune(number: int) -> str:
    """A number as Go's %q writes it: the character that it is the code of."""
    character = chr(number) if number <= sys.maxunicode else "\N{REPLACEMENT CHARACTER}"
    escape = _ESCAPES.get(character)
    if escape is None:
        escape = character if character.isprintable() else f"\\x{number:02x}"
    return f"'{escape}'"


def for_shell(command: language.CommandLine, config: ExecutionDefaults) -> tuple[str, ...]:
    """The words of a command; a line is given to the image's shell."""
    if not command.is_for_shell or not command.words:
        return command.words
    return (*(config.shell or DEFAULT_SHELL), *command.words)


def quoted(words: tuple[str, ...]) -> str:
    """Words as Go's %q writes a list."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "[" + " ".join(f'"{word}"' for word in escaped) + "]"


def absolute(path: str, config: ExecutionDefaults) -> str:
    """A path as the working directory has it."""
    joined = posixpath.join("/", config.working_dir or "/", path)
    clean = posixpath.normpath("/" + joined.lstrip("/"))
    return clean + "/" if path.endswith(("/", "/.")) and clean != "/" else clean
