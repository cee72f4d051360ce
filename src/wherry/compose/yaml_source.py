"""YAML as Compose reads it: events become plain values, and nothing else is ever constructed.

The parser (libyaml) gives events only; this module builds mappings, sequences and scalars from
them. Scalars are resolved by the rules of the library that Compose uses (YAML 1.2 with a few
numbers of 1.1): `yes`, `no`, `on` and `off` stay strings, `0777` and `0o777` are octal, `22:22`
is a string. Tags other than those of plain values are refused, but for two of Compose's own:

    !reset      the key is not set, whatever earlier files say
    !override   the value takes the place of what earlier files say

A file can be small and mean a lot: every alias counts as all that it stands for, and a document
that means more than `MOST_NODES` values is refused before they are looked at (RELIABILITY X11).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from wherry.client.documents import Json
from wherry.compose.errors import ComposeError

MOST_NODES = 100_000
MOST_BYTES = 16 * 1024 * 1024
MOST_DEPTH = 100

Path = tuple[str, ...]

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
)
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
_RESET, _OVERRIDE = "!reset", "!override"
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False,
           "FALSE": False}  # fmt: skip
_WANTED: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool}
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_PREFIXED = re.compile(r"([-+]?)0(x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+|[0-7_]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOATS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Source(NamedTuple):
    """One YAML document."""

    value: Json
    replaced: list[Path]
    """What of earlier files is forgotten: the places of !reset and !override."""
    lines: dict[Path, int]
    """Where each key stands, counted from 1."""


def read_documents(text: bytes, name: str) -> list[Source]:
    """The documents of a YAML stream. Raises: ComposeError with file and line."""
    if len(text) > MOST_BYTES:
        raise ComposeError(
            f"failed to parse {name}: a Compose file of {len(text)} bytes is longer than the "
            f"{MOST_BYTES} that are read"
        )
    try:
        return list(_Builder(name, yaml.parse(text, Loader=yaml.CSafeLoader)).documents())
    except yaml.YAMLError as problem:
        raise ComposeError(f"failed to parse {name}: yaml: {_where(problem)}") from None
    except UnicodeDecodeError as problem:
        raise ComposeError(f"failed to parse {name}: yaml: {problem.reason}") from None


def _where(problem: yaml.YAMLError) -> str:
    mark = getattr(problem, "problem_mark", None)
    told = getattr(problem, "problem", None) or str(problem)
    return f"line {mark.line + 1}: {told}" if mark is not None else f"{told}"


class _Built(NamedTuple):
    value: Json
    size: int
    """How many values it stands for, with all that its aliases stand for."""


class _Absent(NamedTuple):
    """In place of a value with !reset."""


class _Builder:
    """Turns one stream of events into values. Every method may raise ComposeError."""

    def __init__(self, name: str, events: "Iterator[yaml.Event]") -> None:
        self._name = name
        self._events = events
        self._anchors: dict[str, _Built | None] = {}
        self._replaced: list[Path] = []
        self._lines: dict[Path, int] = {}
        self._size = 0

    def documents(self) -> Iterator[Source]:
        """The documents, as they end."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._replaced, self._lines, self._size = {}, [], {}, 0
                built = self._node(next(self._events), ())
                value = None if isinstance(built, _Absent) else built.value
                yield Source(value, self._replaced, self._lines)

    def _node(self, event: "yaml.Event", path: Path) -> _Built | _Absent:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        tag = self._tag(event)
        if tag in (_RESET, _OVERRIDE):
            self._replaced.append(path)
        if event.anchor:
            self._anchors[event.anchor] = None
        built = self._fresh(event, tag, path)
        if event.anchor:
            self._anchors[event.anchor] = built
        return _Absent() if tag == _RESET else built

    def _fresh(self, event: "yaml.Event", tag: str, path: Path) -> _Built:
        self._count(event, 1)
        if len(path) > MOST_DEPTH:
            raise self._refusal(event, f"more than {MOST_DEPTH} levels deep")
        if isinstance(event, yaml.ScalarEvent):
            is_text = not event.implicit[0] if not tag or tag == "!" else False
            return _Built(self._scalar(event, tag, is_text=is_text), 1)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _alias(self, event: "yaml.Event") -> _Built:
        if event.anchor not in self._anchors:
            raise self._refusal(event, f"unknown anchor '{event.anchor}' referenced")
        built = self._anchors[event.anchor]
        if built is None:
            raise self._refusal(event, f"anchor '{event.anchor}' value contains itself")
        self._count(event, built.size)
        return built

    def _count(self, event: "yaml.Event", size: int) -> None:
        self._size += size
        if self._size > MOST_NODES:
            raise self._refusal(
                event, f"document contains excessive aliasing: more than {MOST_NODES} values"
            )

    def _tag(self, event: "yaml.Event") -> str:
        tag: str = event.tag or ""
        if tag and tag != "!" and tag not in _PLAIN_TAGS and tag not in (_RESET, _OVERRIDE):
            raise self._refusal(event, f"tag {tag} is not one of a Compose file's")
        return tag

    def _scalar(self, event: "yaml.Event", tag: str, *, is_text: bool) -> Json:
        text: str = event.value
        if is_text or tag in _STRING_TAGS or event.style in ("'", '"', "|", ">"):
            return text
        value = resolve(text)
        kind = tag.rpartition(":")[2]
        if kind in _WANTED and not isinstance(value, _WANTED[kind]):
            raise self._refusal(event, f"cannot decode !!str `{text}` as a !!{kind}")
        return value

    def _sequence(self, path: Path) -> _Built:
        items: list[Json] = []
        before = self._size
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            built = self._node(event, (*path, str(len(items))))
            if not isinstance(built, _Absent):
                items.append(built.value)
        return _Built(items, self._size - before + 1)

    def _mapping(self, path: Path) -> _Built:
        own: dict[str, Json] = {}
        merged: list[dict[str, Json]] = []
        lines: dict[str, int] = {}
        before = self._size
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path)
            line = event.start_mark.line + 1
            if key == "<<" and not event.style:
                merged += self._merged(next(self._events), path)
                continue
            if key in lines:
                raise ComposeError(
                    f'failed to parse {self._name}: line {line}: mapping key "{key}" already '
                    f"defined at line {lines[key]}"
                )
            lines[key] = line
            place = (*path, key)
            self._lines[place] = line
            built = self._node(next(self._events), place)
            if not isinstance(built, _Absent):
                own[key] = built.value
        for each in merged:
            for key, value in each.items():
                if key not in lines:
                    own.setdefault(key, value)
        return _Built(own, self._size - before + 1)

    def _key(self, event: "yaml.Event", path: Path) -> str:
        if isinstance(event, yaml.AliasEvent):
            value = self._alias(event).value
        elif isinstance(event, yaml.ScalarEvent):
            tag = self._tag(event)
            value = self._scalar(event, tag, is_text=False)
            if event.anchor:
                self._anchors[event.anchor] = _Built(value, 1)
        else:
            raise self._refusal(event, "a key is a mapping or a sequence")
        if not isinstance(value, str):
            where = f"in {'.'.join(path)}" if path else "at top level"
            raise self._refusal(event, f"non-string key {where}: {as_text(value)}")
        return value

    def _merged(self, event: "yaml.Event", path: Path) -> list[dict[str, Json]]:
        """What `<<` brings in: one mapping or several, of which the first counts most."""
        built = self._node(event, (*path, "<<"))
        value = None if isinstance(built, _Absent) else built.value
        if value is None:
            return []
        found = value if isinstance(value, list) else [value]
        result = [each for each in found if isinstance(each, dict)]
        if len(result) != len(found):
            raise self._refusal(event, "map merge requires map or sequence of maps as the value")
        return result

    def _refusal(self, event: "yaml.Event", problem: str) -> ComposeError:
        line = event.start_mark.line + 1
        return ComposeError(f"failed to parse {self._name}: yaml: line {line}: {problem}")


def resolve(text: str) -> Json:
    """A plain scalar's value."""
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    first = text[0]
    if not (first.isdigit() or first in "+-."):
        return text
    if _DECIMAL.fullmatch(text):
        return int(text.replace("_", ""))
    if found := _PREFIXED.fullmatch(text):
        return _prefixed(found[1], found[2], text)
    if _FLOAT.fullmatch(text) or _SPECIAL_FLOATS.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _prefixed(sign: str, digits: str, text: str) -> Json:
    base = {"x": 16, "o": 8, "b": 2}.get(digits[0], 8)
    digits = (digits if digits[0].isdigit() or digits[0] == "_" else digits[1:]).replace("_", "")
    if not digits:
        return text
    value = int(digits, base)
    return -value if sign == "-" else value


def as_text(value: Json) -> str:
    """A scalar as Go prints it with %v."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    return str(value)


def float_text(value: float) -> str:
    """A number in the shortest form, as Go's %v has it."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)
