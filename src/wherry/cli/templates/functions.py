"""The functions that templates may call: Go's predeclared ones and Docker's own."""

import html
from collections.abc import Callable, Sequence
from typing import TypeAlias

from wherry.cli.templates import formatting
from wherry.cli.templates.json_text import json_text
from wherry.cli.templates.lexer import quoted
from wherry.cli.templates.values import (
    BOOL,
    INT,
    STRING,
    STRINGS,
    Kind,
    Value,
    element_type,
    entries_of,
    indirect,
    is_true,
    items_of,
    of_string,
    unwrapped,
    zero,
)
from wherry.kit.values import dataclass


class CallFailed(Exception):
    """A function refused its arguments; the text is Go's."""


Arguments: TypeAlias = Sequence[Value | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function: the types of its parameters, and of the rest when it takes any number."""

    call: Callable[[Arguments], Value | None]
    parameters: tuple[str, ...] = ()
    rest: str = ""


_ANY, _STRING, _INT, _VALUE = "interface {}", "string", "int", "reflect.Value"


def _text(value: Value | None) -> str:
    return "" if value is None else str(value.datum)


def _whole(value: Value | None) -> int:
    return value.datum if value is not None and isinstance(value.datum, int) else 0


# Go's predeclared functions.


def _index(arguments: Arguments) -> Value | None:
    item = unwrapped(arguments[0])
    if item is None:
        raise CallFailed("index of untyped nil")
    for argument in arguments[1:]:
        index = unwrapped(argument)
        item, is_nil = indirect(item) if item is not None else (None, True)
        if item is None:
            raise CallFailed("index of untyped nil")
        if is_nil:
            raise CallFailed("index of nil pointer")
        item = unwrapped(_element(item, index))
    return item


def _element(item: Value, index: Value | None) -> Value:
    match item.type.kind:
        case Kind.SLICE | Kind.STRING:
            return _at(item, _position(index, _length(item), "index"))
        case Kind.MAP:
            key = _map_key(index, item.type.key)
            element = element_type(item.type)
            entries = entries_of(item)
            return Value(element, entries[key] if key in entries else zero(element))
    raise CallFailed(f"can't index item of type {item.type.name}")


def _map_key(index: Value | None, wanted: str) -> str:
    """A string literal is no key of a map whose keys have a type of their own."""
    if index is None:
        raise CallFailed(f"value is nil; should be of type {wanted}")
    if index.type.name != wanted:
        raise CallFailed(f"value has type {index.type.name}; should be {wanted}")
    return str(index.datum)


def _at(item: Value, position: int) -> Value:
    if item.type.kind is Kind.STRING:
        return Value(INT, str(item.datum).encode(errors="surrogateescape")[position])
    return Value(element_type(item.type), items_of(item)[position])


def _position(index: Value | None, length: int, verb: str, *, inclusive: bool = False) -> int:
    if index is None:
        raise CallFailed("cannot index slice/array with nil")
    if index.type.kind not in (Kind.INT, Kind.UINT):
        raise CallFailed(f"cannot index slice/array with type {index.type.name}")
    position = _whole(index)
    if position < 0 or position > length or (position == length and not inclusive):
        raise CallFailed(f"index out of range: {position}")
    return position


def _length(item: Value) -> int:
    if item.type.kind is Kind.STRING:
        return len(str(item.datum).encode(errors="surrogateescape"))
    return len(entries_of(item)) if item.type.kind is Kind.MAP else len(items_of(item))


def _slice(arguments: Arguments) -> Value | None:
    item = unwrapped(arguments[0])
    if item is None:
        raise CallFailed("slice of untyped nil")
    item, _ = indirect(item)
    if len(arguments) > 4:
        raise CallFailed(f"too many slice indexes: {len(arguments) - 1}")
    if item.type.kind is Kind.STRING and len(arguments) == 4:
        raise CallFailed("cannot 3-index slice a string")
    if item.type.kind not in (Kind.STRING, Kind.SLICE):
        raise CallFailed(f"can't slice item of type {item.type.name}")
    length = _length(item)
    bounds = [
        _position(unwrapped(each), length, "slice", inclusive=True) for each in arguments[1:]
    ]
    begin = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else length
    if begin > end:
        raise CallFailed(f"invalid slice index: {begin} > {end}")
    if len(bounds) == 3 and end > bounds[2]:
        raise CallFailed(f"invalid slice index: {end} > {bounds[2]}")
    if item.type.kind is Kind.STRING:
        raw = str(item.datum).encode(errors="surrogateescape")[begin:end]
        return Value(item.type, raw.decode(errors="surrogateescape"))
    return Value(item.type, items_of(item)[begin:end])


def _len(arguments: Arguments) -> Value:
    item = unwrapped(arguments[0])
    if item is None:
        raise CallFailed("len of nil pointer")
    item, is_nil = indirect(item)
    if is_nil:
        raise CallFailed("len of nil pointer")
    if item.type.kind not in (Kind.SLICE, Kind.MAP, Kind.STRING):
        raise CallFailed(f"len of type {item.type.name}")
    return Value(INT, _length(item))


def _call(arguments: Arguments) -> Value:
    value = unwrapped(arguments[0])
    if value is None:
        raise CallFailed("call of nil")
    raise CallFailed(f"non-function {formatting.shown(value)} of type {value.type.name}")


_SCALARS = frozenset({Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT, Kind.STRING, Kind.COMPLEX})


def _family(value: Value) -> Kind:
    if value.type.kind not in _SCALARS:
        raise CallFailed("invalid type for comparison")
    return Kind.INT if value.type.kind is Kind.UINT else value.type.kind


def _eq(arguments: Arguments) -> Value:
    if len(arguments) < 2:
        raise CallFailed("missing argument for comparison")
    first = unwrapped(arguments[0])
    return Value(BOOL, any(_equal(first, unwrapped(each)) for each in arguments[1:]))


def _equal(first: Value | None, second: Value | None) -> bool:
    for each in (first, second):
        if each is not None and each.type.kind in (Kind.SLICE, Kind.MAP):
            if first is None or second is None:
                return each.datum is None
            if each.datum is not None or each is first:
                raise CallFailed(f"non-comparable type {formatting.shown(each)}: {each.type.name}")
    if first is None or second is None:
        left = first if first is not None else second
        return left is None or left.datum is None
    scalars = (first.type.kind in _SCALARS, second.type.kind in _SCALARS)
    if all(scalars):
        if _family(first) is not _family(second):
            raise CallFailed("incompatible types for comparison")
        return first.datum == second.datum
    if any(scalars):
        raise CallFailed("incompatible types for comparison")
    return first.datum is second.datum


def _less(first: Value | None, second: Value | None) -> bool:
    if first is None or second is None:
        raise CallFailed("invalid type for comparison")
    left, right = _family(first), _family(second)
    if left is not right:
        raise CallFailed("incompatible types for comparison")
    match first.datum, second.datum:
        case str(a), str(b):
            return a.encode(errors="surrogateescape") < b.encode(errors="surrogateescape")
        case bool(), _:
            raise CallFailed("invalid type for comparison")
        case ((int() | float() as x), (int() | float() as y)):
            return x < y
    raise CallFailed("invalid type for comparison")


def _comparison(holds: Callable[[Value | None, Value | None], bool]) -> Function:
    def call(arguments: Arguments) -> Value:
        return Value(BOOL, holds(unwrapped(arguments[0]), unwrapped(arguments[1])))

    return Function(call=call, parameters=(_VALUE, _VALUE))


def _single_string(arguments: Arguments) -> str:
    """The arguments of html, js and urlquery: one string as it is, others as Sprint prints."""
    return formatting.sprint(arguments)


def _html(arguments: Arguments) -> Value:
    text = _single_string(arguments).replace("\0", "\ufffd")
    escaped = html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    return of_string(escaped)


_JS = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026",
    "=": "\\u003D",
}  # fmt: skip


def _js(arguments: Arguments) -> Value:
    return of_string(
        "".join(
            _JS.get(each) or (each if each.isprintable() else f"\\u{ord(each):04X}")
            for each in _single_string(arguments)
        )
    )


def _urlquery(arguments: Arguments) -> Value:
    kept = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
    raw = _single_string(arguments).encode(errors="surrogateescape")
    return of_string(
        "".join(chr(b) if b in kept else "+" if b == 0x20 else f"%{b:02X}" for b in raw)
    )


# Docker's functions (docker/cli, templates).


def _join(arguments: Arguments) -> Value:
    elements, separator = unwrapped(arguments[0]), _text(arguments[1])
    if elements is None:
        return of_string("")
    if elements.type.kind is Kind.SLICE:
        element = element_type(elements.type)
        parts = [formatting.shown(Value(element, each)) for each in items_of(elements)]
    elif elements.type.kind is Kind.MAP:
        element = element_type(elements.type)
        parts = sorted(
            formatting.shown(Value(element, each)) for each in entries_of(elements).values()
        )
    else:
        raise CallFailed(f"expected slice, got {elements.type.name}")
    return of_string(separator.join(parts))


def _split(arguments: Arguments) -> Value:
    text, separator = _text(arguments[0]), _text(arguments[1])
    return Value(STRINGS, list(text) if separator == "" else text.split(separator))


def _title(arguments: Arguments) -> Value:
    result = ""
    for character in _text(arguments[0]):
        follows_letter = bool(result) and (result[-1].isalnum() or result[-1] in "_'")
        result += character if follows_letter else character.title()
    return of_string(result)


def _pad(arguments: Arguments) -> Value:
    text, before, after = _text(arguments[0]), _whole(arguments[1]), _whole(arguments[2])
    return of_string(" " * before + text + " " * after if text else text)


def _truncate(arguments: Arguments) -> Value:
    raw = _text(arguments[0]).encode(errors="surrogateescape")
    return of_string(raw[: max(_whole(arguments[1]), 0)].decode(errors="replace"))


def _joined(function: Callable[[str], str]) -> Function:
    return Function(
        call=lambda arguments: of_string(function(_text(arguments[0]))), parameters=(_STRING,)
    )


def _printf(arguments: Arguments) -> Value:
    return of_string(formatting.sprintf(_text(arguments[0]), arguments[1:]))


PREDECLARED = {
    "and": Function(call=lambda a: a[-1], parameters=(_VALUE,), rest=_VALUE),
    "or": Function(call=lambda a: a[-1], parameters=(_VALUE,), rest=_VALUE),
    "not": Function(call=lambda a: Value(BOOL, not is_true(a[0])), parameters=(_VALUE,)),
    "call": Function(call=_call, parameters=(_VALUE,), rest=_VALUE),
    "index": Function(call=_index, parameters=(_VALUE,), rest=_VALUE),
    "slice": Function(call=_slice, parameters=(_VALUE,), rest=_VALUE),
    "len": Function(call=_len, parameters=(_VALUE,)),
    "print": Function(call=lambda a: of_string(formatting.sprint(a)), rest=_ANY),
    "printf": Function(call=_printf, parameters=(_STRING,), rest=_ANY),
    "println": Function(call=lambda a: of_string(formatting.sprintln(a)), rest=_ANY),
    "html": Function(call=_html, rest=_ANY),
    "js": Function(call=_js, rest=_ANY),
    "urlquery": Function(call=_urlquery, rest=_ANY),
    "eq": Function(call=_eq, parameters=(_VALUE,), rest=_VALUE),
    "ne": _comparison(lambda a, b: not _equal(a, b)),
    "lt": _comparison(_less),
    "le": _comparison(lambda a, b: _less(a, b) or _equal(a, b)),
    "gt": _comparison(lambda a, b: not (_less(a, b) or _equal(a, b))),
    "ge": _comparison(lambda a, b: not _less(a, b)),
}

DOCKER = {
    "json": Function(call=lambda a: of_string(json_text(a[0])), parameters=(_ANY,)),
    "split": Function(call=_split, parameters=(_STRING, _STRING)),
    "join": Function(call=_join, parameters=(_ANY, _STRING)),
    "title": Function(call=_title, parameters=(_STRING,)),
    "lower": _joined(str.lower),
    "upper": _joined(str.upper),
    "pad": Function(call=_pad, parameters=(_STRING, _INT, _INT)),
    "truncate": Function(call=_truncate, parameters=(_STRING, _INT)),
}

ALL = PREDECLARED | DOCKER


def _as_it_is(*others: str) -> Function:
    return Function(call=lambda a: Value(STRING, _text(a[0])), parameters=(_STRING, *others))


HEADERS = ALL | {
    "json": _as_it_is(),
    "split": _as_it_is(_STRING),
    "join": _as_it_is(_STRING),
    "title": _as_it_is(),
    "lower": _as_it_is(),
    "upper": _as_it_is(),
    "truncate": _as_it_is(_INT),
}
"""The functions when a table's header is printed: most leave the column's name as it is."""

__all__ = ["ALL", "HEADERS", "CallFailed", "Function", "quoted"]
