"""Strict whole numbers: only what a C program would print, nothing that only Python accepts."""

import re

_DECIMAL = re.compile(r"[+-]?[0-9]{1,20}")
_UNSIGNED = re.compile(r"[0-9]{1,20}")


def parse_int(text: str) -> int:
    """Read a decimal integer of at most 20 ASCII digits.

    `int()` also takes underscores, blanks, Unicode digits and any length; none of them is a
    number in a port, a uid or a size.

    Raises: ValueError.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)


def parse_unsigned(text: str, *, bits: int = 64) -> int:
    """Read a decimal integer in 0..2**bits-1.

    Raises: ValueError.
    """
    if not _UNSIGNED.fullmatch(text):
        raise ValueError(f"not an unsigned number: {text!r}")
    value = int(text)
    if value >= 1 << bits:
        raise ValueError(f"number out of range: {text}")
    return value


def parse_range(text: str, *, bits: int) -> tuple[int, int]:
    """Read `80` or `80-90`: the first and the last of unsigned numbers.

    Raises: ValueError, also where the last is below the first.
    """
    first_text, dash, last_text = text.partition("-")
    first = parse_unsigned(first_text, bits=bits)
    last = parse_unsigned(last_text, bits=bits) if dash else first
    if last < first:
        raise ValueError(f"a range that goes down: {text!r}")
    return first, last
