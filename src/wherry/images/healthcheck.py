"""The instruction HEALTHCHECK, as `import --change` and `commit --change` take it."""

import json
import re

from wherry.oci.image_spec import Healthcheck

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_TIMES = {
    "interval": "interval",
    "timeout": "timeout",
    "start-period": "start_period",
    "start-interval": "start_interval",
}


def parse_healthcheck(text: str) -> Healthcheck:
    """`NONE`, or flags and then `CMD` with a command in one of its two forms.

    Raises: ValueError with a clause that says what is wrong.
    """
    numbers: dict[str, int] = {}
    while text.startswith("--"):
        flag, _gap, text = text.partition(" ")
        text = text.lstrip()
        name, _equals, value = flag.removeprefix("--").partition("=")
        if name == "retries":
            numbers["retries"] = _retries(value)
        elif name in _TIMES:
            numbers[_TIMES[name]] = _duration_ns(name, value)
        else:
            raise ValueError(f"unknown flag: --{name}")
    kind, _gap, command = text.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE":
        if command:
            raise ValueError("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(test=("NONE",))
    if kind.upper() != "CMD":
        raise ValueError(f"unknown type {kind!r} in HEALTHCHECK (try CMD)")
    if not command:
        raise ValueError("missing command after HEALTHCHECK CMD")
    words = _words(command)
    test = ("CMD-SHELL", command) if words is None else ("CMD", *words)
    return Healthcheck(test=test, **numbers)


def _retries(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"--retries must be a number of at least 0 (not {text})")
    return int(text)


def _duration_ns(name: str, text: str) -> int:
    """Go's `1m30s`."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f'--{name}: time: invalid duration "{text}"')
    duration_ns = sum(int(float(n) * _UNITS_NS[unit]) for n, unit in _PART.findall(text))
    if duration_ns and duration_ns < _UNITS_NS["ms"]:
        raise ValueError(f'Interval "{name}" cannot be less than 1ms')
    return duration_ns


def _words(command: str) -> tuple[str, ...] | None:
    """The words of the JSON form; None for the shell form."""
    try:
        words = json.loads(command) if command.startswith("[") else None
    except (ValueError, RecursionError):
        return None
    if isinstance(words, list) and all(isinstance(each, str) for each in words):
        return tuple(words)
    return None
