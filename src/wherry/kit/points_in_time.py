"""Points in time as people give them: a span back from now, Unix seconds, or a date."""

import datetime
import re

from wherry.kit.durations import read_duration
from wherry.kit.timestamps import NANOSECONDS, parse_moment

_SHORT_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.[0-9]{1,9})?)?(Z?)"
)


def read_point_in_time(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of `24h` (ago), Unix seconds, RFC 3339 or a shorter date.

    A date without a zone is meant in this host's, and spans reach back to a whole second, as in
    Docker (api/types/time).

    Raises: ValueError.
    """
    try:
        return parse_moment(text)
    except ValueError:
        pass
    short = _SHORT_DATE.fullmatch(text)
    if short is None:
        ago_ns = now_ns - read_duration(text)
        return ago_ns - ago_ns % NANOSECONDS
    date, minutes, seconds, zone = short.groups()
    moment = datetime.datetime.fromisoformat(f"{date}T{minutes or '00:00'}{seconds or ':00'}")
    if zone:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * NANOSECONDS
