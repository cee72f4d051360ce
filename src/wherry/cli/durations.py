"""Spans and moments as people read and write them (the rules of docker/go-units and its CLI)."""

import time

from wherry.kit.durations import human_duration, read_duration

NANOSECONDS = 1_000_000_000


def ago(moment_s: float) -> str:
    """How long ago a moment (Unix seconds) was."""
    return human_duration(time.time() - moment_s) + " ago"


def go_time(moment_s: float) -> str:
    """Local time as Go's String prints it: `2026-01-02 03:04:05 +0000 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment_s))


def local_time(moment_ns: int) -> str:
    """RFC 3339 with nine digits, in the local zone: `2026-01-02T03:04:05.000000000+01:00`."""
    seconds, fraction = divmod(moment_ns, NANOSECONDS)
    moment = time.localtime(seconds)
    hours, minutes = divmod(abs(moment.tm_gmtoff) // 60, 60)
    sign = "-" if moment.tm_gmtoff < 0 else "+"
    zone = f"{sign}{hours:02d}:{minutes:02d}" if moment.tm_gmtoff else "Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment) + f".{fraction:09d}{zone}"


def moment_query(text: str) -> str:
    """The API's form of `--since` and `--until`: seconds, with a fraction where there is one.

    Takes a span back from now (`42m`), Unix seconds, and the shorter forms of RFC 3339.

    Raises: ValueError.
    """
    if text.replace(".", "", 1).isdigit():
        return text  # Also `0`, which would be a span of nothing: it means everything.
    try:
        return _as_seconds(time.time_ns() - read_duration(text))
    except ValueError:
        pass
    return _as_seconds(_parse_local(text))


def _parse_local(text: str) -> int:
    """Nanoseconds of a time stamp that may lack its zone, seconds, minutes or hours."""
    from wherry.kit.timestamps import parse_rfc3339  # It needs datetime, which is slow to import.

    has_zone = text.endswith(("Z", "z")) or "+" in text or text.count("-") == 3
    whole = text
    if "T" not in text:
        whole = f"{text}T00:00:00"
    else:
        clock = text.partition("T")[2]
        colons = clock.rstrip("Zz").partition("+")[0].count(":")
        if not has_zone and colons < 2:
            whole = text + ":00" * (2 - colons)
    if has_zone:
        return parse_rfc3339(whole)
    as_utc = parse_rfc3339(f"{whole}Z")
    offset_s = time.localtime(as_utc // NANOSECONDS).tm_gmtoff
    return as_utc - offset_s * NANOSECONDS


def _as_seconds(moment_ns: int) -> str:
    seconds, fraction = divmod(moment_ns, NANOSECONDS)
    return f"{seconds}.{fraction:09d}"
