"""Spans of time as Go writes them, and as docker/go-units says them to people."""

import re
from collections.abc import Mapping
from types import MappingProxyType

_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")
_UNITS_NS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_MINUTE_S, _HOUR_S = 60, 3600
_WHOLE_HOURS = ((1, "hours", 48), (24, "days", 24 * 14), (168, "weeks", 24 * 60),
                (720, "months", 24 * 730))  # fmt: skip
"""Hours in a unit, its name, and the number of hours from which a larger unit is said."""


def read_duration(text: str, more_units_ns: Mapping[str, int] = MappingProxyType({})) -> int:
    """Nanoseconds of Go's `1h30m`, `1.5s`. Raises: ValueError in Go's words."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    at, total = 0, 0.0
    while at < len(unsigned):
        found = _PART.match(unsigned, at)
        if found is None or found[1] in ("", "."):
            break
        if not found[2]:
            raise ValueError(f'time: missing unit in duration "{text}"')
        unit_ns = _UNITS_NS.get(found[2]) or more_units_ns.get(found[2])
        if unit_ns is None:
            raise ValueError(f'time: unknown unit "{found[2]}" in duration "{text}"')
        total += float(found[1]) * unit_ns
        at = found.end()
    if not unsigned or at < len(unsigned):
        raise ValueError(f'time: invalid duration "{text}"')
    return int(-total if text.startswith("-") else total)


def duration_text(duration_ns: int) -> str:
    """The shortest text that Go prints: 90 s is `1m30s`, half a second `500ms`."""
    if duration_ns == 0:
        return "0s"
    sign, rest = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    for unit in ("ns", "µs", "ms"):
        if rest < _UNITS_NS[unit] * 1000:
            return f"{sign}{_decimal(rest, _UNITS_NS[unit])}{unit}"
    minutes, left = divmod(rest, _UNITS_NS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(left, _UNITS_NS['s'])}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    if not fraction:
        return str(whole)
    return f"{whole}.{str(fraction).zfill(len(str(unit)) - 1).rstrip('0')}"


def human_duration(duration_s: float) -> str:
    """`Less than a second`, `About a minute`, `5 hours`: one rounded figure."""
    seconds = int(duration_s)
    if seconds < 1:
        return "Less than a second"
    if seconds < _MINUTE_S:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if seconds < _HOUR_S:
        minutes = seconds // _MINUTE_S
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(duration_s / _HOUR_S + 0.5)
    if hours == 1:
        return "About an hour"
    for unit, name, limit in _WHOLE_HOURS:
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{seconds // _HOUR_S // 24 // 365} years"
