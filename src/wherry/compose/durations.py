"""Durations as Compose files have them: Go's, with days and weeks, or bare nanoseconds."""

import re

from wherry.compose.errors import BadValue

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9,
          "h": 3600 * 10**9, "d": 24 * 3600 * 10**9, "w": 7 * 24 * 3600 * 10**9}  # fmt: skip
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h|d|w)")


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises: BadValue."""
    sign = -1 if text.startswith("-") else 1
    rest = text.lstrip("+-")
    if rest == "0":
        return 0
    total, at = 0, 0
    while at < len(rest) and (found := _PART.match(rest, at)):
        total += round(float(found[1]) * _UNITS[found[2]])
        at = found.end()
    if at != len(rest) or not rest:
        if rest.isdigit():
            return sign * int(rest)
        raise BadValue(f'time: invalid duration "{text}"')
    return sign * total
