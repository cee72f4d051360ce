"""The kinds of values in a Compose file: how each is read, and when it counts as empty."""

from collections.abc import Callable
from typing import NamedTuple

from wherry.client.documents import Json, document
from wherry.compose.durations import parse_duration
from wherry.compose.errors import BadValue
from wherry.compose.short_words import split_words
from wherry.compose.yaml_source import as_text
from wherry.kit.byte_sizes import parse_size
from wherry.kit.durations import duration_text


class Kind(NamedTuple):
    """How one kind of value is read; a value that `is_empty` is left out."""

    read: Callable[[Json], Json]
    is_empty: Callable[[Json], bool] = lambda value: value in (None, "", 0, False, [], {})
    hashed: Callable[[Json], Json] | None = None
    """For JSON; None: as `read` has it."""


def is_none(value: Json) -> bool:
    """Whether there is no value; an empty one is one."""
    return value is None


def _text(value: Json) -> Json:
    return None if value is None else as_text(value)


def _integer(value: Json) -> Json:
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            raise BadValue(f"cannot parse '{value}' as int") from None
    return int(value) if isinstance(value, int | float) else value


def _number(value: Json) -> Json:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise BadValue(f"cannot parse '{value}' as float") from None
    return _tidy(value)


def _tidy(value: Json) -> Json:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def read_boolean(text: str) -> bool:
    """A boolean that is written as a text. Raises: ValueError."""
    lowered = text.lower()
    if lowered in ("true", "yes", "y", "on"):
        return True
    if lowered in ("false", "no", "n", "off"):
        return False
    raise ValueError(f"invalid boolean: {text}")


def _boolean(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return read_boolean(value)
    except ValueError as problem:
        raise BadValue(str(problem)) from None


def _bytes(value: Json) -> Json:
    if value is None:
        return None
    if isinstance(value, str):
        if value == "-1":
            return value
        try:
            value = parse_size(value)
        except ValueError:
            raise BadValue(f"invalid size: '{value}'") from None
    return str(int(value)) if isinstance(value, int | float) and value else None


def _duration(value: Json) -> Json:
    return None if value is None else duration_text(parse_duration(as_text(value)))


def _octal(value: Json) -> Json:
    if isinstance(value, str):
        try:
            value = int(value, 8)
        except ValueError:
            raise BadValue(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None
    return f"0{value:o}" if isinstance(value, int) else None


def _pairs(value: Json, *, empty: Json) -> Json:
    """`key=value` in a list, or a mapping; the result is sorted."""
    if isinstance(value, list):
        split = (as_text(each).partition("=") for each in value)
        found: dict[str, Json] = {key: text if equals else empty for key, equals, text in split}
    else:
        found = {
            key: empty if each is None else as_text(each) for key, each in document(value).items()
        }
    return dict(sorted(found.items()))


def _texts(value: Json) -> Json:
    entries = value if isinstance(value, list) else [] if value is None else [value]
    return [as_text(each) for each in entries]


def _command(value: Json) -> Json:
    if value is None:
        return None
    if isinstance(value, str):
        return list(split_words(value))
    return _texts(value)


def _hosts(value: Json) -> Json:
    """Names with their addresses, `name=address` each, sorted."""
    found: list[tuple[str, str]] = []
    if isinstance(value, list):
        for each in value:
            line = as_text(each)
            mark = "=" if "=" in line else ":"
            name, separator, address = line.partition(mark)
            if not separator:
                raise BadValue(f"invalid additional host, missing IP: {line}")
            found.append((name, address))
    else:
        for name, given in document(value).items():
            addresses = given if isinstance(given, list) else [given]
            found += [(name, as_text(each)) for each in addresses]
    return [
        f"{name}={_bare(address)}" for name, address in sorted(found, key=lambda pair: pair[0])
    ]


def _bare(address: str) -> str:
    is_bracketed = address.startswith("[") and address.endswith("]")
    return address[1:-1] if is_bracketed else address


def _health_test(value: Json) -> Json:
    if isinstance(value, str):
        return ["CMD-SHELL", value]
    return _texts(value)


def as_is(value: Json) -> Json:
    """The value itself."""
    return value


def _ulimit(value: Json) -> Json:
    limit = document(value)
    if limit.get("single"):
        return _integer(limit["single"])
    return {"soft": _integer(limit.get("soft", 0)), "hard": _integer(limit.get("hard", 0))}


def _hashed_ulimit(value: Json) -> Json:
    return {key: each for key, each in value.items() if each} if isinstance(value, dict) else value


def _count(value: Json) -> Json:
    if value == "all":
        return -1
    return _integer(value)


TEXT = Kind(_text)
OPTIONAL_TEXT = Kind(_text, is_none)
INTEGER = Kind(_integer)
OPTIONAL_INTEGER = Kind(_integer, is_none)
NUMBER = Kind(_number)
BOOLEAN = Kind(_boolean)
OPTIONAL_BOOLEAN = Kind(_boolean, is_none)
BYTES = Kind(_bytes)
DURATION = Kind(_duration, lambda value: value in (None, "0s"))
OPTIONAL_DURATION = Kind(_duration, is_none)
OCTAL = Kind(_octal, is_none)
PAIRS = Kind(lambda value: _pairs(value, empty=""))
ENVIRONMENT = Kind(lambda value: _pairs(value, empty=None))
TEXTS = Kind(_texts)
COMMAND = Kind(_command, is_none)
HOSTS = Kind(_hosts)
HEALTH_TEST = Kind(_health_test)
AS_IS = Kind(as_is)
OPTIONS = Kind(lambda value: {key: _texts(each) for key, each in sorted(document(value).items())})
ULIMIT = Kind(_ulimit, is_none, _hashed_ulimit)
COUNT = Kind(_count)
SHOWN_WHEN_FALSE = Kind(_boolean, lambda value: value is not False)
