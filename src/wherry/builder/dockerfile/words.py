"""Splitting a line: flags, shell words, JSON arrays, pairs, and the marks of here-documents.

Words keep their quotes and escapes here; `expansion` takes them off.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

BLANKS = re.compile(r"[\t\v\f\r ]+")
"""What stands between words. Other blanks of Unicode are part of a word, as with Docker."""


_HEREDOC = re.compile(r"[0-9]*<<(-?)([^<]+)")
_NAME = re.compile(r"[^\s'\"<>|&;()]+")


class HeredocMark(NamedTuple):
    """`<<EOF`, `<<-EOF` or `<<"EOF"`."""

    name: str
    expands: bool
    strips_tabs: bool


def split(text: str, escape: str) -> list[str]:
    """Shell words, as they were written: blanks count for nothing inside quotes."""
    found: list[str] = []
    begin, quote, position, length = -1, "", 0, len(text)
    while position < length:
        character = text[position]
        if begin < 0:
            if character.isspace():
                position += 1
                continue
            begin = position
        if quote:
            if character == quote:
                quote = ""
            elif character == escape and quote == '"':
                position += 1
        elif character in "'\"":
            quote = character
        elif character == escape:
            position += 1
        elif character.isspace():
            found.append(text[begin:position])
            begin = -1
        position += 1
    if begin >= 0:
        found.append(text[begin:])
    return found


def json_words(text: str) -> tuple[str, ...] | None:
    """The exec form: a JSON array of texts; None where it is none."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return None
    return tuple(value)


def flags(text: str, escape: str) -> tuple[list[str], str]:
    """The `--flag=value` words that a text begins with, and what is behind them."""
    taken: list[str] = []
    rest = text.lstrip()
    while rest.startswith("--"):
        word = next(_first_word(rest, escape))
        rest = rest[len(word) :].lstrip()
        if word == "--":
            break
        taken.append(word)
    return taken, rest


def _first_word(text: str, escape: str) -> Iterator[str]:
    """The first shell word, without reading on."""
    quote, position = "", 0
    while position < len(text):
        character = text[position]
        if quote:
            if character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == escape:
            position += 1
        elif character.isspace():
            break
        position += 1
    yield text[:position]


def pairs(text: str, escape: str, instruction: str) -> tuple[tuple[str, str], ...]:
    """`a=1 b="2 3"`, or the old form `a 1 2 3` of one pair.

    Raises: ValueError in Docker's words.
    """
    found = split(text, escape)
    if not found:
        return ()
    if "=" not in found[0]:
        name, rest = found[0], text.strip()[len(found[0]) :].strip()
        if not rest:
            raise ValueError(f"{instruction} must have two arguments")
        return ((name, rest),)
    result = []
    for word in found:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(
                f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value'
            )
        result.append((name, value))
    return tuple(result)


def heredoc_marks(text: str, escape: str) -> Sequence[HeredocMark]:
    """The here-documents that a line asks for, in order."""
    return [mark for word in split(text, escape) if (mark := heredoc_mark(word)) is not None]


def heredoc_mark(word: str) -> HeredocMark | None:
    """What a word such as `<<"EOF"` asks for; None for any other word."""
    match = _HEREDOC.fullmatch(word)
    if match is None:
        return None
    name = match.group(2)
    bare = name.replace('"', "").replace("'", "")
    if not _NAME.fullmatch(bare):
        return None
    return HeredocMark(bare, bare == name, bool(match.group(1)))


def without_tabs(content: str) -> str:
    """A here-document whose lines lost the tabs that they began with."""
    return "".join(line.lstrip("\t") for line in content.splitlines(keepends=True))


def between_blanks(text: str) -> list[str]:
    """The words of a text, whatever their quotes."""
    return [word for word in BLANKS.split(text) if word]
