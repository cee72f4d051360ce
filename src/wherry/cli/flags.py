"""Flags as Docker's command line reads them (the rules of spf13/pflag), and their help texts.

A command declares its flags as a tuple of `Flag`; `parse` turns arguments into `Parsed`, whose
values keep the type that the flag's kind gives them. A bad value is found when it is read, so
that the first mistake on the line is the one that is told.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wherry.kit.byte_sizes import parse_size
from wherry.kit.durations import read_duration


class FlagError(Exception):
    """A mistake on the command line; the text is pflag's."""


class HelpWanted(Exception):
    """`--help` was among the flags."""


class Kind(NamedTuple):
    """How a flag's text becomes a value, and what help calls it."""

    label: str
    read: Callable[[str], object]
    is_repeated: bool = False
    without_value: str | None = None
    """The text that stands for a flag without `=value`; None when a value must follow."""
    parts: Callable[[str], Sequence[str]] | None = None
    """Of a repeated flag: the values in one text; None when a text is one value."""


class Flag(NamedTuple):
    """One flag of a command. Help shows `default` unless it is empty."""

    name: str
    kind: Kind
    usage: str
    short: str = ""
    default: str = ""
    is_hidden: bool = False


class Parsed(NamedTuple):
    """The flags that were given, and the arguments that are left."""

    values: dict[str, object]
    arguments: list[str]

    def was_given(self, name: str) -> bool:
        """Whether the flag was on the line."""
        return name in self.values

    def is_on(self, name: str, default: bool = False) -> bool:
        """A switch."""
        value = self.values.get(name, default)
        return value is True

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self.values.get(name, default)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: int = 0) -> int:
        """A whole number (bytes, nanoseconds, or what the flag says)."""
        value = self.values.get(name, default)
        return value if isinstance(value, int) else default

    def texts(self, name: str) -> list[str]:
        """The strings of a flag that may be repeated, in order."""
        value = self.values.get(name)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []

    def objects(self, name: str) -> list[object]:
        """The values of a flag that may be repeated, in order."""
        value = self.values.get(name)
        return list(value) if isinstance(value, list) else []


# Kinds of values. The patterns are compiled when they are first needed (re keeps them): most
# command lines have no duration on them.

_TRUTHS = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)
_INTEGER = r"[+-]?[0-9]+"
_PREFIXED = r"[+-]?0(?:[xX][0-9a-fA-F]+|[oO]?[0-7]+|[bB][01]+)"


def read_switch(text: str) -> bool:
    """Go's ParseBool. Raises: ValueError."""
    if text not in _TRUTHS:
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return _TRUTHS[text]


def read_integer(text: str, *, bits: int = 64) -> int:
    """Go's ParseInt with base 0. Raises: ValueError."""
    return _ranged(text, "ParseInt", -(1 << bits - 1), (1 << bits - 1) - 1)


def read_unsigned(text: str, *, bits: int = 64) -> int:
    """Go's ParseUint with base 0. Raises: ValueError."""
    return _ranged(text, "ParseUint", 0, (1 << bits) - 1)


def _ranged(text: str, function: str, lowest: int, highest: int) -> int:
    is_signed = text[:1] in ("+", "-")
    if function == "ParseUint" and is_signed:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
    if re.fullmatch(_PREFIXED, text):
        digits = text.lstrip("+-")
        base = {"x": 16, "o": 8, "b": 2}.get(digits[1].lower(), 8)
        value = int(digits if digits[1].isdigit() else digits[2:], base)
        value = -value if text.startswith("-") else value
    elif re.fullmatch(_INTEGER, text) and len(text) < 64:
        value = int(text)
    else:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax')
    if not lowest <= value <= highest:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return value


def read_size(text: str) -> int:
    """Bytes. Raises: ValueError."""
    return parse_size(text)


def read_size_or_unlimited(text: str) -> int:
    """Bytes, or -1 for no limit. Raises: ValueError."""
    return -1 if text == "-1" else parse_size(text)


def read_fields(text: str) -> Sequence[str]:
    """Values apart by commas, quoted where one has a comma itself. Raises: ValueError."""
    if '"' not in text:
        return text.split(",") if text else ()
    import csv

    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as problem:
        raise ValueError(str(problem)) from None


def _as_written(text: str) -> str:
    return text


SWITCH = Kind("", read_switch, without_value="true")
STRING = Kind("string", _as_written)
INT = Kind("int", read_integer)
UINT16 = Kind("uint16", lambda text: read_unsigned(text, bits=16))
UINT = Kind("uint", read_unsigned)
DURATION = Kind("duration", read_duration)
BYTES = Kind("bytes", read_size)
BYTES_OR_UNLIMITED = Kind("bytes", read_size_or_unlimited)
LIST = Kind("list", _as_written, is_repeated=True)
STRINGS = Kind("strings", _as_written, is_repeated=True, parts=read_fields)
MAP = Kind("map", _as_written, is_repeated=True)


def repeated(label: str, read: Callable[[str], object]) -> Kind:
    """A flag that may be given many times, each value checked as it is read."""
    return Kind(label, read, is_repeated=True)


def absent_flag(name: str, usage: str, *, label: str = "") -> Flag:
    """A flag of Docker's that says, when it is given, that it is not there yet.

    Without a label it is a switch, which may be said to be off.
    """

    def refuse(text: str) -> object:
        if not label and read_switch(text) is False:
            return False
        raise ValueError("this flag is not there yet")

    kind = Kind(
        label, refuse, is_repeated=label == "list", without_value=None if label else "true"
    )
    return Flag(name, kind, f"Not there yet: {usage}")


def read_filter(text: str) -> tuple[str, str] | None:
    """`name=value` of `--filter`; the name in lower case. None for one that is empty.

    Raises: ValueError.
    """
    if not text:
        return None
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


FILTER = repeated("filter", read_filter)


def filters_of(parsed: Parsed) -> dict[str, list[str]]:
    """The values of `--filter` by name."""
    result: dict[str, list[str]] = {}
    for each in parsed.objects("filter"):
        if isinstance(each, tuple):
            name, value = each
            result.setdefault(name, []).append(value)
    return result


# Parsing.

_HELP = Flag("help", SWITCH, "Print usage")


def parse(arguments: Sequence[str], flags: Sequence[Flag], *, interspersed: bool = True) -> Parsed:
    """Read flags out of arguments; not interspersed, they end at the first argument.

    Raises: FlagError; HelpWanted.
    """
    by_name = {flag.name: flag for flag in flags}
    by_short = {flag.short: flag for flag in flags if flag.short}
    values: dict[str, object] = {}
    rest: list[str] = []
    waiting = list(arguments)
    waiting.reverse()
    while waiting:
        argument = waiting.pop()
        if argument == "--":
            rest += reversed(waiting)
            break
        if not argument.startswith("-") or argument == "-":
            rest.append(argument)
            if not interspersed:
                rest += reversed(waiting)
                break
        elif argument.startswith("--"):
            _read_long(argument, by_name, waiting, values)
        else:
            _read_short(argument[1:], by_short, waiting, values)
    return Parsed(values, rest)


def _read_long(
    argument: str, flags: dict[str, Flag], waiting: list[str], values: dict[str, object]
) -> None:
    name, equals, text = argument[2:].partition("=")
    if not name or name.startswith("-"):
        raise FlagError(f"bad flag syntax: {argument}")
    flag = flags.get(name)
    if flag is None:
        if name == "help":
            _set(_HELP, text if equals else "true", values)
            if values.pop("help"):
                raise HelpWanted
            return
        raise FlagError(f"unknown flag: --{name}")
    if equals:
        _set(flag, text, values)
    elif flag.kind.without_value is not None:
        _set(flag, flag.kind.without_value, values)
    elif waiting:
        _set(flag, waiting.pop(), values)
    else:
        raise FlagError(f"flag needs an argument: --{name}")


def _read_short(
    letters: str, flags: dict[str, Flag], waiting: list[str], values: dict[str, object]
) -> None:
    while letters:
        letter, following = letters[0], letters[1:]
        flag = flags.get(letter)
        if flag is None:
            if letter == "h":
                raise HelpWanted("Flag shorthand -h has been deprecated, use --help")
            raise FlagError(f"unknown shorthand flag: '{letter}' in -{letters}")
        if following.startswith("="):
            _set(flag, following[1:], values)
            return
        if flag.kind.without_value is not None:
            _set(flag, flag.kind.without_value, values)
            letters = following
        elif following:
            _set(flag, following, values)
            return
        elif waiting:
            _set(flag, waiting.pop(), values)
            return
        else:
            raise FlagError(f"flag needs an argument: '{letter}' in -{letters}")


def _set(flag: Flag, text: str, values: dict[str, object]) -> None:
    kind = flag.kind
    try:
        read = [kind.read(part) for part in (kind.parts(text) if kind.parts else (text,))]
    except ValueError as problem:
        shown = f"-{flag.short}, --{flag.name}" if flag.short else f"--{flag.name}"
        raise FlagError(f'invalid argument "{text}" for "{shown}" flag: {problem}') from None
    if not kind.is_repeated:
        [values[flag.name]] = read
        return
    collected = values.setdefault(flag.name, [])
    if isinstance(collected, list):
        collected += read


# Help.


def flag_lines(flags: Sequence[Flag], *, width: int = 80) -> list[str]:
    """The flags by name, in two columns, wrapped to the width of a terminal."""
    shown = sorted((flag for flag in flags if not flag.is_hidden), key=lambda flag: flag.name)
    names = [_flag_name(flag) for flag in shown]
    indent = max((len(name) for name in names), default=0) + 3
    lines: list[str] = []
    for flag, name in zip(shown, names, strict=True):
        usage = flag.usage + (f" (default {flag.default})" if flag.default else "")
        lines += _wrapped(name.ljust(indent), usage, indent, width)
    return lines


def _flag_name(flag: Flag) -> str:
    name = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
    return f"{name} {flag.kind.label}" if flag.kind.label else name


def _wrapped(first: str, usage: str, indent: int, width: int) -> list[str]:
    room = max(width - indent - 1, 24)
    lines: list[str] = []
    for paragraph in usage.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            if line and len(line) + 1 + len(word) > room:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return [(first if not at else " " * indent) + line for at, line in enumerate(lines)]
