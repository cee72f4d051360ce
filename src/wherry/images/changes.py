"""The Dockerfile instructions that `--change` of import and commit takes."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence

from wherry.images.documents import parse_exposed
from wherry.images.healthcheck import parse_healthcheck
from wherry.kit.values import replace
from wherry.model.errors import InvalidValue
from wherry.oci.image_spec import ExecutionDefaults


def apply_changes(defaults: ExecutionDefaults, changes: Sequence[str]) -> ExecutionDefaults:
    """What an image says after some instructions, in order.

    Raises: InvalidValue.
    """
    has_command = False
    for change in changes:
        for line in filter(None, (each.strip() for each in change.splitlines())):
            word, _, rest = line.partition(" ")
            instruction = word.upper()
            defaults = _apply(defaults, instruction, rest.strip())
            has_command = has_command or instruction == "CMD"
            if instruction == "ENTRYPOINT" and not has_command:
                # What was the command of another program says nothing to this one.
                defaults = replace(defaults, cmd=None)
    return defaults


def completed_by(wish: ExecutionDefaults, other: ExecutionDefaults) -> ExecutionDefaults:
    """A configuration, and what it does not say from another one, as Docker merges them."""
    entrypoint, cmd = wish.entrypoint, wish.cmd
    if not entrypoint:
        cmd = cmd or other.cmd
        entrypoint = other.entrypoint
    names = {each.partition("=")[0] for each in wish.env}
    return replace(
        wish,
        user=wish.user or other.user,
        exposed_ports=tuple(sorted({*wish.exposed_ports, *other.exposed_ports})),
        env=wish.env + tuple(each for each in other.env if each.partition("=")[0] not in names),
        entrypoint=entrypoint,
        cmd=cmd,
        volumes=tuple(sorted({*wish.volumes, *other.volumes})),
        working_dir=wish.working_dir or other.working_dir,
        labels={**other.labels, **wish.labels},
        stop_signal=wish.stop_signal or other.stop_signal,
        shell=wish.shell or other.shell,
        healthcheck=wish.healthcheck or other.healthcheck,
    )


def _apply(defaults: ExecutionDefaults, instruction: str, rest: str) -> ExecutionDefaults:
    apply = _INSTRUCTIONS.get(instruction)
    if apply is None:
        raise InvalidValue(f"{instruction.lower()} is not a valid change command")
    if not rest:
        raise InvalidValue(f"{instruction} requires at least one argument")
    try:
        return apply(defaults, rest)
    except ValueError as error:
        raise InvalidValue(f"{instruction}: {error}") from error


def _command(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    return replace(defaults, cmd=_arguments(defaults, rest))


def _entrypoint(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    return replace(defaults, entrypoint=_arguments(defaults, rest))


def _environment(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    present = dict(each.partition("=")[::2] for each in defaults.env)
    present |= _pairs(rest, allows_blank_form=True)
    return replace(defaults, env=tuple(f"{name}={value}" for name, value in present.items()))


def _labels(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    return replace(defaults, labels={**defaults.labels, **_pairs(rest, allows_blank_form=False)})


def _expose(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    ports = {str(port) for word in rest.split() for port in parse_exposed(word)}
    return replace(defaults, exposed_ports=tuple(sorted(ports | {*defaults.exposed_ports})))


def _volumes(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    paths = _json_words(rest) or tuple(rest.split())
    return replace(defaults, volumes=tuple(sorted({*paths, *defaults.volumes})))


def _user(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    return replace(defaults, user=rest)


def _working_directory(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    base = defaults.working_dir or "/"
    path = rest if rest.startswith("/") else f"{base.rstrip('/')}/{rest}"
    return replace(defaults, working_dir=path)


def _stop_signal(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    return replace(defaults, stop_signal=rest)


def _healthcheck(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    return replace(defaults, healthcheck=parse_healthcheck(rest))


def _on_build(defaults: ExecutionDefaults, rest: str) -> ExecutionDefaults:
    return replace(defaults, on_build=(*defaults.on_build, rest))


_INSTRUCTIONS: Mapping[str, Callable[[ExecutionDefaults, str], ExecutionDefaults]] = {
    "CMD": _command,
    "ENTRYPOINT": _entrypoint,
    "ENV": _environment,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _labels,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volumes,
    "WORKDIR": _working_directory,
}


def _arguments(defaults: ExecutionDefaults, rest: str) -> tuple[str, ...]:
    """The exec form is a JSON array; everything else is given to the shell."""
    words = _json_words(rest)
    return words if words is not None else (*(defaults.shell or ("/bin/sh", "-c")), rest)


def _json_words(text: str) -> tuple[str, ...] | None:
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    return tuple(words)


def _pairs(text: str, *, allows_blank_form: bool) -> dict[str, str]:
    """`a=1 b="2 3"`, or the old `a 1 2 3` of ENV."""
    first, blank, rest = text.partition(" ")
    if "=" not in first:
        if not (allows_blank_form and blank and rest.strip()):
            raise ValueError(f"{first!r} has no value")
        return {first: rest.strip()}
    pairs = {}
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"{word!r} is not NAME=VALUE")
        pairs[name] = value
    return pairs
