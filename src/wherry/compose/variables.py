"""`$VAR` and its relatives, as Compose reads them.

    $VAR ${VAR}        the value, or nothing with a warning
    ${VAR:-x} ${VAR-x}  x when VAR is unset or empty / unset
    ${VAR:?e} ${VAR?e}  the error e when VAR is unset or empty / unset
    ${VAR:+x} ${VAR+x}  x when VAR is set and not empty / set
    $$                  one $; so is a $ before anything else

What stands after an operator may have variables in it, as deep as one likes; a text that grows
beyond `MOST_TEXT` characters is refused, since each level may double it.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from wherry.client.documents import Json
from wherry.compose.errors import ComposeError

MOST_TEXT = 4 * 1024 * 1024

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATOR = re.compile(r":?[-?+]")
_MOST_NESTED = 50


class InvalidTemplate(Exception):
    """A `${` that is no variable."""


class Variable(NamedTuple):
    """One variable that a text asks for."""

    name: str
    operator: str = ""
    argument: str = ""


def substitute(text: str, lookup: Lookup, *, on_unset: Callable[[str], None]) -> str:
    """The text with its variables replaced. Raises: InvalidTemplate, ComposeError."""
    if "$" not in text:
        return text
    return _substitute(text, lookup, on_unset, 0)


def _substitute(text: str, lookup: Lookup, on_unset: Callable[[str], None], depth: int) -> str:
    if depth > _MOST_NESTED:
        raise ComposeError(f"variables are nested more than {_MOST_NESTED} levels deep")
    pieces: list[str] = []
    length = 0
    for piece in parse(text):
        if isinstance(piece, Variable):
            piece = _value(piece, lookup, on_unset, depth)
        length += len(piece)
        if length > MOST_TEXT:
            raise ComposeError(f"variables make a text of more than {MOST_TEXT} characters")
        pieces.append(piece)
    return "".join(pieces)


def _value(variable: Variable, lookup: Lookup, on_unset: Callable[[str], None], depth: int) -> str:
    name, operator, argument = variable
    value = lookup(name)
    if not operator:
        if value is None:
            on_unset(name)
        return value or ""
    is_there = value is not None and (value != "" or not operator.startswith(":"))
    match operator[-1]:
        case "+":
            return _substitute(argument, lookup, on_unset, depth + 1) if is_there else ""
        case "?" if not is_there:
            told = _substitute(argument, lookup, on_unset, depth + 1)
            raise ComposeError(
                f"required variable {name} is missing a value" + (f": {told}" if told else "")
            )
        case "-" if not is_there:
            return _substitute(argument, lookup, on_unset, depth + 1)
    return value or ""


def parse(text: str) -> Iterator[str | Variable]:
    """The text's plain pieces and its variables. Raises: InvalidTemplate."""
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        if dollar > at:
            yield text[at:dollar]
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            yield "$"
            at = dollar + 2
        elif following == "{":
            end = _closing(text, dollar + 1)
            yield _braced(text[dollar + 2 : end])
            at = end + 1
        elif found := _NAME.match(text, dollar + 1):
            yield Variable(found[0])
            at = found.end()
        else:
            yield "$"
            at = dollar + 1
    if at < len(text):
        yield text[at:]


def variables_in(value: Json) -> list[Variable]:
    """The variables that a document asks for, by name, those in defaults too."""
    found: dict[str, Variable] = {}

    def walk(each: Json) -> None:
        if isinstance(each, dict):
            for inner in each.values():
                walk(inner)
        elif isinstance(each, list):
            for inner in each:
                walk(inner)
        elif isinstance(each, str) and "$" in each:
            for piece in parse(each):
                if isinstance(piece, Variable):
                    found.setdefault(piece.name, piece)
                    walk(piece.argument)

    walk(value)
    return [found[name] for name in sorted(found)]


def _braced(inner: str) -> Variable:
    found = _NAME.match(inner)
    if found is None:
        raise InvalidTemplate(inner)
    if found.end() == len(inner):
        return Variable(inner)
    operator = _OPERATOR.match(inner, found.end())
    if operator is None:
        raise InvalidTemplate(inner)
    return Variable(found[0], operator[0], inner[operator.end() :])


def _closing(text: str, opening: int) -> int:
    depth = 0
    at = opening
    while at < len(text):
        if text[at] == "{" and text[at - 1] == "$":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise InvalidTemplate(text)
