"""Durations as Compose files have them: Go's, and days and weeks."""

from wherry.compose.errors import BadValue
from wherry.kit.durations import read_duration

_DAY_NS = 24 * 3600 * 10**9
_LONG_UNITS_NS = {"d": _DAY_NS, "w": 7 * _DAY_NS}


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises: BadValue."""
    try:
        return read_duration(text, _LONG_UNITS_NS)
    except ValueError as problem:
        raise BadValue(str(problem)) from None
