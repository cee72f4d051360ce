"""Spans of time as Go writes them."""

import re

_PART = re.compile(r"([0-9]*\.?[0-9]*)(ns|us|µs|μs|ms|s|m|h)")
_UNITS_NS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip


def read_duration(text: str) -> int:
    """Nanoseconds of Go's `1h30m`, `1.5s`. Raises: ValueError."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    at, total = 0, 0.0
    while at < len(unsigned):
        match = _PART.match(unsigned, at)
        if match is None or match.group(1) in ("", "."):
            if re.fullmatch(r"[0-9]+(\.[0-9]*)?", unsigned[at:]):
                raise ValueError(f'time: missing unit in duration "{text}"')
            break
        total += float(match.group(1)) * _UNITS_NS[match.group(2)]
        at = match.end()
    if not unsigned or at < len(unsigned):
        raise ValueError(f'time: invalid duration "{text}"')
    return int(-total if text.startswith("-") else total)
