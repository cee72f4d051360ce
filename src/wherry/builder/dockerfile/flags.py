"""Flags of instructions: `--name`, `--name=value`, and what the values of some mean."""

import csv
import difflib
import re
from collections.abc import Mapping, Sequence

from wherry.builder.dockerfile.instructions import RunMount
from wherry.kit.values import dataclass

NO_FLAGS: Mapping[str, str] = {}
MOUNT_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")

_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNITS_NS["h"] = 3600 * 10**9
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_LONGEST_DURATION = 40

_MOUNT_OPTIONS = {
    "bind": {"target", "source", "from", "readwrite"},
    "cache": {"id", "target", "source", "from", "readwrite", "sharing", "mode", "uid", "gid"},
    "tmpfs": {"target", "size"},
    "secret": {"id", "target", "env", "required", "mode", "uid", "gid"},
    "ssh": {"id", "target", "required", "mode", "uid", "gid"},
}
_ALIASES = {
    "dst": "target",
    "destination": "target",
    "src": "source",
    "ro": "readonly",
    "rw": "readwrite",
}


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that an instruction was given."""

    values: Mapping[str, tuple[str, ...]]

    def has(self, name: str) -> bool:
        """Whether a flag was given."""
        return name in self.values

    def text(self, name: str) -> str:
        """A flag's value; empty where it was not given."""
        return self.values.get(name, ("",))[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a flag that may be repeated."""
        return self.values.get(name, ())

    def claim(self, name: str) -> bool:
        """Whether a flag that is a claim was given as true."""
        return self.text(name) == "true"


def take_flags(written: Sequence[str], known: Mapping[str, str]) -> Flags:
    """Flags by what an instruction knows: `text`, `claim` or `list`.

    Raises: ValueError in Docker's words.
    """
    values: dict[str, tuple[str, ...]] = {}
    for word in written:
        name, equals, value = word.removeprefix("--").partition("=")
        kind = known.get(name)
        if kind is None:
            near = difflib.get_close_matches(name[:20], known, n=1, cutoff=0.7)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"unknown flag: --{name}{hint}")
        if kind == "claim":
            value = (value if equals else "true").lower()
            if value not in ("true", "false"):
                raise ValueError(f"expecting boolean value for flag {name}, not: {value}")
        elif not equals:
            raise ValueError(f"missing a value on flag: {name}")
        if name in values and kind != "list":
            raise ValueError(f"duplicate flag specified: {name}")
        values[name] = (*values.get(name, ()), value)
    return Flags(values)


def duration_ns(name: str, text: str) -> int:
    """Go's `1m30s`. Raises: ValueError."""
    if text in ("", "0"):
        return 0
    parts = _PART.findall(text) if len(text) <= _LONGEST_DURATION else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'time: invalid duration "{text[:_LONGEST_DURATION]}"')
    duration = sum(int(float(number) * _UNITS_NS[unit]) for number, unit in parts)
    if 0 < duration < _UNITS_NS["ms"]:
        raise ValueError(f'Interval "{name}" cannot be less than 1ms')
    return duration


def run_mount(text: str) -> RunMount:
    """`type=cache,target=/x,...`. Raises: ValueError in Docker's words."""
    fields = next(csv.reader([text]), [])
    options: dict[str, str] = {}
    kind = "bind"
    for each in fields:
        name, equals, value = each.partition("=")
        name = _ALIASES.get(name.lower(), name.lower())
        if name == "type":
            kind = value.lower()
            if kind not in MOUNT_KINDS:
                raise ValueError(f'unsupported mount type "{value}"')
            continue
        if name in ("readonly", "readwrite", "required"):
            value = value.lower() if equals else "true"
            if value not in ("true", "false"):
                raise ValueError(f"invalid value for {name}: {value}")
            if name == "readonly":
                # One thing in two words: the last one counts.
                name, value = "readwrite", "false" if value == "true" else "true"
        elif not equals:
            raise ValueError(f"invalid field '{each}' must be a key=value pair")
        options[name] = value
    unknown = options.keys() - _MOUNT_OPTIONS[kind]
    if unknown:
        raise ValueError(f"unexpected key '{min(unknown)}' in '{text}'")
    if kind in ("bind", "cache", "tmpfs") and not options.get("target"):
        raise ValueError(f"{kind} mount requires a target")
    if options.get("sharing", "shared") not in ("shared", "private", "locked"):
        raise ValueError(f'unsupported sharing value "{options["sharing"]}"')
    for name in ("uid", "gid", "mode", "size"):
        if name in options and not re.fullmatch(r"[0-9]{1,12}[kmgKMG]?", options[name]):
            raise ValueError(f"invalid value for {name}: {options[name]}")
    return RunMount(kind=kind, options=options)
