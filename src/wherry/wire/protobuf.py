"""Protocol Buffers: messages are structs whose fields carry their numbers.

    class Vertex(Message):
        digest: Annotated[str, 1] = ""
        inputs: Annotated[list[str], 2] = []
        started: Annotated[Timestamp | None, 5] = None

A field's type says how it is encoded: `str`, `bytes`, `bool` and `int` (a varint of 64 bits),
another message, a list of these, or a dict (a map). What a class does not name is skipped when it
comes and never sent, so that a class describes just what we use of somebody else's message.
Nesting goes as deep as the classes do and no deeper: there is nothing here to exhaust.
"""

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Annotated, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from msgspec import Struct

M = TypeVar("M", bound="Message")

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_FIXED = {_FIXED_64: 8, _FIXED_32: 4}
_MASK = (1 << 64) - 1


class Message(Struct, kw_only=True):
    """One message; all of its fields have defaults."""


class MalformedMessage(ValueError):
    """Bytes that are no message."""


class Timestamp(Message):
    """google.protobuf.Timestamp."""

    seconds: Annotated[int, 1] = 0
    nanos: Annotated[int, 2] = 0


def timestamp(nanoseconds: int) -> Timestamp:
    """A point in time, from nanoseconds since 1970."""
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)


class _Field(NamedTuple):
    name: str
    number: int
    kind: type
    is_list: bool
    key_kind: type | None
    """Of a map; None for everything else."""


def encode(message: Message) -> bytes:
    """The bytes of a message; fields that are empty are left out."""
    out = bytearray()
    for field in _fields(type(message)):
        value = getattr(message, field.name)
        if field.key_kind is not None:
            for key, each in value.items():
                entry = bytearray()
                _put(entry, 1, key)
                _put(entry, 2, each)
                _put(out, field.number, bytes(entry))
        elif field.is_list:
            for each in value:
                _put(out, field.number, each)
        elif value or isinstance(value, Message):
            _put(out, field.number, value)
    return bytes(out)


def decode(kind: type[M], data: bytes) -> M:
    """The message that bytes are. Raises: MalformedMessage."""
    message = kind()
    fields = _by_number(kind)
    for number, value in _pairs(data):
        field = fields.get(number)
        if field is None:
            continue
        if field.key_kind is not None:
            _set_entry(message, field, value)
        elif not field.is_list:
            setattr(message, field.name, _taken(field.kind, value))
        elif isinstance(value, bytes) and field.kind in (int, bool):
            getattr(message, field.name).extend(_packed(value))
        else:
            getattr(message, field.name).append(_taken(field.kind, value))
    return message


# -- writing ---------------------------------------------------------------------------------


def _put(out: bytearray, number: int, value: object) -> None:
    match value:
        case int():
            _put_varint(out, number << 3 | _VARINT)
            _put_varint(out, value & _MASK)
            return
        case str():
            content = value.encode(errors="surrogateescape")
        case bytes():
            content = value
        case Message():
            content = encode(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no encoding")
    _put_varint(out, number << 3 | _BYTES)
    _put_varint(out, len(content))
    out += content


def _put_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


# -- reading ---------------------------------------------------------------------------------


def _pairs(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and raw values, as they come."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, at = _varint(data, at)
        elif wire_type in _FIXED:
            length = _FIXED[wire_type]
        else:
            raise MalformedMessage(f"wire type {wire_type} of field {number}")
        if length > end - at:
            raise MalformedMessage(f"field {number} is longer than its message")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70 and at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, at
        shift += 7
    raise MalformedMessage("a number has no end")


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield _signed(value)


def _taken(kind: type, value: int | bytes) -> object:
    if isinstance(value, int):
        if kind is bool:
            return bool(value)
        if kind is int:
            return _signed(value)
    elif kind is str:
        return value.decode(errors="surrogateescape")
    elif kind is bytes:
        return value
    elif issubclass(kind, Message):
        return decode(kind, value)
    raise MalformedMessage(f"a value that is no {kind.__name__}")


def _set_entry(message: Message, field: _Field, entry: int | bytes) -> None:
    assert field.key_kind is not None
    if isinstance(entry, int):
        raise MalformedMessage(f"{field.name} is no map")
    key, value = field.key_kind(), field.kind()
    for number, raw in _pairs(entry):
        if number == 1:
            key = _taken(field.key_kind, raw)
        elif number == 2:
            value = _taken(field.kind, raw)
    getattr(message, field.name)[key] = value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


# -- classes ---------------------------------------------------------------------------------


@cache
def _fields(kind: type[Message]) -> tuple[_Field, ...]:
    fields = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        annotated, number = get_args(hint)
        key_kind, is_list = None, False
        if get_origin(annotated) is dict:
            key_kind, annotated = get_args(annotated)
        elif get_origin(annotated) is list:
            (annotated,) = get_args(annotated)
            is_list = True
        elif isinstance(annotated, UnionType):
            annotated = get_args(annotated)[0]
        fields.append(_Field(name, number, annotated, is_list, key_kind))
    return tuple(fields)


@cache
def _by_number(kind: type[Message]) -> dict[int, _Field]:
    return {field.number: field for field in _fields(kind)}
