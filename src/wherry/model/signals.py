"""Signals by the names and numbers that users type (signal(7))."""

import re
import signal

from wherry.kit.numbers import parse_unsigned
from wherry.model.errors import InvalidValue

DEFAULT_STOP_SIGNAL = "SIGTERM"

_REALTIME = re.compile(r"RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?")
_HIGHEST = int(signal.SIGRTMAX)


def parse_signal(text: str) -> int:
    """The number of `SIGTERM`, `term`, `15` or `RTMIN+3`.

    Raises: InvalidValue.
    """
    name = text.upper().removeprefix("SIG")
    if text.isascii() and text.isdigit():
        return _checked(parse_unsigned(text), text)
    realtime = _REALTIME.fullmatch(name)
    if realtime is not None:
        edge, sign, distance = realtime.groups()
        start = signal.SIGRTMIN if edge == "MIN" else signal.SIGRTMAX
        offset = int(distance or 0) * (-1 if sign == "-" else 1)
        return _checked(int(start) + offset, text)
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise InvalidValue(f"invalid signal: {text}") from None


def _checked(number: int, text: str) -> int:
    if not 1 <= number <= _HIGHEST:
        raise InvalidValue(f"invalid signal: {text}")
    return number
