"""Time stamps as Go prints and reads them, at nanosecond precision."""

import datetime
import re
import time

NANOSECONDS = 1_000_000_000
ZERO = "0001-01-01T00:00:00Z"
"""What Go prints for a time that never was."""

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9})[0-9]*)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_SECONDS = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,9}))?")


def rfc3339_nano(moment_ns: int | None) -> str:
    """`2026-01-02T03:04:05.123456789Z`, trailing zeros dropped as Go does; None is Go's zero."""
    if moment_ns is None:
        return ZERO
    seconds, fraction = divmod(moment_ns, NANOSECONDS)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def rfc3339_fixed(moment_ns: int) -> str:
    """As `rfc3339_nano`, always with nine digits: the form of log lines."""
    seconds, fraction = divmod(moment_ns, NANOSECONDS)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time stamp.

    Raises: ValueError.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime.datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second),
        tzinfo=datetime.timezone.utc,
    )  # fmt: skip
    offset_s = 0
    if zone not in "Zz":
        sign = -1 if zone[0] == "-" else 1
        offset_s = sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    elapsed = moment - epoch
    seconds = elapsed.days * 86400 + elapsed.seconds - offset_s
    return seconds * NANOSECONDS + int((fraction or "").ljust(9, "0"))


def parse_unix_seconds(text: str) -> int:
    """Nanoseconds of `1700000000` or `1700000000.123456789`, the API's since and until.

    Raises: ValueError.
    """
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise ValueError(f"not a Unix time: {text!r}")
    seconds, fraction = match.groups()
    return int(seconds) * NANOSECONDS + int((fraction or "").ljust(9, "0"))


def parse_moment(text: str) -> int:
    """Nanoseconds of a Unix time or an RFC 3339 time stamp.

    Raises: ValueError.
    """
    return parse_unix_seconds(text) if _SECONDS.fullmatch(text) else parse_rfc3339(text)
