"""Filters of the build history: claims of one record, joined by commas.

    status==error,startedAt>2026-01-02T03:04:05Z        both
    ref==a  and  ref==b, as two filters                 either

Times are RFC 3339, or a duration before now; `duration` is compared with a duration.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence

from grpclib.const import Status

from wherry.kit.durations import read_duration
from wherry.kit.timestamps import parse_rfc3339
from wherry.model.errors import InvalidValue
from wherry.wire.buildkit.control import BuildHistoryRecord
from wherry.wire.protobuf import Timestamp

_CLAIM = re.compile(r"\s*([A-Za-z]+)\s*(==|!=|~=|>=|<=|>|<)\s*(.*?)\s*")
_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
    ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
_TEXTS: Mapping[str, Callable[[BuildHistoryRecord], str]] = {
    "ref": lambda record: record.Ref,
    "status": lambda record: status_of(record),
    "repository": lambda record: record.FrontendAttrs.get("vcs:source", ""),
}
Claim = Callable[[BuildHistoryRecord], bool]


def status_of(record: BuildHistoryRecord) -> str:
    """What became of a build, in BuildKit's words."""
    if record.CompletedAt is None:
        return "running"
    if record.error is None:
        return "completed"
    return "canceled" if record.error.code == Status.CANCELLED.value else "error"


def chosen(filters: Sequence[str], *, now_ns: int) -> Claim:
    """Whether a record is one that some filter means; without filters, each is.

    Raises: InvalidValue.
    """
    alternatives = [[_claim(each, now_ns) for each in text.split(",")] for text in filters]
    if not alternatives:
        return lambda _record: True
    return lambda record: any(all(claim(record) for claim in each) for each in alternatives)


def _claim(text: str, now_ns: int) -> Claim:
    match = _CLAIM.fullmatch(text)
    if match is None:
        raise InvalidValue(f"failed to parse filter {text!r}")
    field, comparison, value = match.groups()
    if field in _TEXTS:
        return _about_text(text, _TEXTS[field], comparison, value)
    if comparison not in _ORDER:
        raise InvalidValue(f"filter {text!r}: {field} can't be compared by {comparison}")
    holds = _ORDER[comparison]
    if field == "duration":
        wanted = _duration(text, value)
        return lambda record: holds(_lasted(record, now_ns), wanted)
    if field not in ("startedAt", "completedAt"):
        raise InvalidValue(f"filter {text!r}: there is no field {field}")
    moment = _moment(text, value, now_ns)

    def claim(record: BuildHistoryRecord) -> bool:
        found = record.CreatedAt if field == "startedAt" else record.CompletedAt
        return found is not None and holds(_ns(found), moment)

    return claim


def _about_text(
    text: str, read: Callable[[BuildHistoryRecord], str], comparison: str, value: str
) -> Claim:
    match comparison:
        case "==":
            return lambda record: read(record) == value
        case "!=":
            return lambda record: read(record) != value
        case "~=":
            return lambda record: value in read(record)
        case _:
            raise InvalidValue(f"filter {text!r}: a text can't be compared by {comparison}")


def _lasted(record: BuildHistoryRecord, now_ns: int) -> int:
    if record.CreatedAt is None:
        return 0
    ended = now_ns if record.CompletedAt is None else _ns(record.CompletedAt)
    return ended - _ns(record.CreatedAt)


def _moment(text: str, value: str, now_ns: int) -> int:
    try:
        return parse_rfc3339(value)
    except ValueError:
        return now_ns - _duration(text, value)


def _duration(text: str, value: str) -> int:
    try:
        return read_duration(value)
    except ValueError:
        raise InvalidValue(
            f"filter {text!r}: {value!r} is neither a time nor a duration"
        ) from None


def _ns(moment: Timestamp) -> int:
    return moment.seconds * 1_000_000_000 + moment.nanos
