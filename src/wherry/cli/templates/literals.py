"""Go's literals: numbers, characters and strings (Go specification, "Lexical elements")."""

import re

from wherry.cli.templates.lexer import quoted

_SIMPLE_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\",
}  # fmt: skip
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))"
)
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]*|0[bB][01_]+|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?")
_HEXADECIMAL_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?[0-9_]+")


def number_value(text: str) -> int | float | complex:
    """The value of a number or character constant. Raises: ValueError with Go's text."""
    if text.startswith("'"):
        return _character(text)
    if text.endswith("i"):
        return complex(0, float(number_real(text[:-1])))
    return number_real(text)


def number_real(text: str) -> int | float:
    """The value of a constant that is not imaginary. Raises: ValueError with Go's text."""
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(text):
        return _integer(plain)
    if _FLOAT.fullmatch(text):
        return float(plain)
    if _HEXADECIMAL_FLOAT.fullmatch(text):
        return float.fromhex(plain)
    raise ValueError(f"illegal number syntax: {quoted(text)}")


def unquoted(literal: str) -> str:
    """The string that a literal in double or back quotes means. Raises: ValueError."""
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")
    return _unescaped(literal[1:-1], quote='"')


def _integer(plain: str) -> int:
    sign = -1 if plain.startswith("-") else 1
    digits = plain.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567":
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _character(text: str) -> int:
    try:
        value = _unescaped(text[1:-1], quote="'")
    except ValueError:
        raise ValueError("invalid syntax") from None
    if len(value) != 1:
        raise ValueError(f"malformed character constant: {text}")
    return ord(value)


def _unescaped(inside: str, *, quote: str) -> str:
    """Replace the escapes; `\\x` and octal ones are bytes, the others are characters."""
    result = bytearray()
    at = 0
    while at < len(inside):
        if inside[at] != "\\":
            result += inside[at].encode(errors="surrogateescape")
            at += 1
            continue
        match = _ESCAPE.match(inside, at)
        if match is None:
            raise ValueError("invalid syntax")
        simple, byte, short, long, octal = match.groups()
        if simple in ("'", '"'):
            if simple != quote:
                raise ValueError("invalid syntax")
            result += simple.encode()
        elif simple:
            result += _SIMPLE_ESCAPES[simple].encode()
        elif byte or octal:
            code = int(byte, 16) if byte else int(octal, 8)
            if code > 255:
                raise ValueError("invalid syntax")
            result.append(code)
        else:
            code = int(short or long, 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise ValueError("invalid syntax")
            result += chr(code).encode()
        at = match.end()
    return result.decode(errors="surrogateescape")
