"""Reads JSON as forgivingly as Go's encoding/json does, and exactly as strictly.

Theory of operation. A request in its canonical form (field names as documented, no null where a
plain value belongs) goes straight through msgspec's compiled decoder. Whatever that refuses is
read again, slowly, with the order of its keys kept, and brought into canonical form:

- a field name matches in any case, and the last of several spellings wins;
- null is the same as absent; inside lists and maps it is the zero value;
- unknown fields are ignored;
- a value of the wrong kind is refused in Go's words.

What is not JSON stays refused: NaN, lone surrogates, a byte-order mark, text behind the value,
numbers beyond 64 bits, nesting that has no end (https://pkg.go.dev/encoding/json).
"""

import json
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect as shapes

T_co = TypeVar("T_co", covariant=True)

LARGEST_INT = 2**63 - 1
SMALLEST_INT = -(2**63)


class InvalidJson(ValueError):
    """A body that can't be read; the text is a clause in Go's words."""


class Decoder(Generic[T_co]):
    """Decodes bytes into one kind of shape."""

    def __init__(self, kind: type[T_co]) -> None:
        self._kind = kind
        self._strict = msgspec.json.Decoder(kind)
        self._shape = shapes.type_info(kind)

    def decode(self, data: bytes) -> T_co:
        """The value in a JSON text.

        Raises: InvalidJson.
        """
        try:
            return self._strict.decode(data)
        except (ValueError, RecursionError):
            return self._decode_leniently(data)

    def _decode_leniently(self, data: bytes) -> T_co:
        _check_syntax(data)
        try:
            loose = json.loads(data, object_pairs_hook=_Pairs)
            canonical = _Canonical(self._kind.__name__).of(loose, self._shape, ())
            return msgspec.convert(canonical, self._kind)
        except RecursionError:
            raise InvalidJson("exceeded max depth") from None
        except InvalidJson:
            raise
        except ValueError as error:
            raise InvalidJson(str(error)) from None


class _Pairs(list[tuple[str, Any]]):
    """The members of an object in the order in which they came."""


class _Canonical:
    """Brings loosely written values into the form that a shape asks for."""

    def __init__(self, root: str) -> None:
        self._root = root

    def of(self, value: Any, shape: shapes.Type, path: tuple[str, ...]) -> Any:
        """The canonical form of a value.

        Raises: InvalidJson.
        """
        match shape:
            case shapes.UnionType():
                return self._of_union(value, shape, path)
            case _ if value is None:
                return _zero(shape)
            case shapes.StructType():
                return self._of_struct(value, shape, path)
            case shapes.ListType() | shapes.VarTupleType():
                if not isinstance(value, list) or isinstance(value, _Pairs):
                    raise self._mismatch(value, shape, path)
                return [self.of(each, shape.item_type, path) for each in value]
            case shapes.DictType():
                if not isinstance(value, _Pairs):
                    raise self._mismatch(value, shape, path)
                return {key: self.of(each, shape.value_type, path) for key, each in value}
            case shapes.AnyType():
                return _plain(value)
            case _:
                return self._of_scalar(value, shape, path)

    def _of_union(self, value: Any, shape: shapes.UnionType, path: tuple[str, ...]) -> Any:
        if value is None and any(isinstance(each, shapes.NoneType) for each in shape.types):
            return None
        choices = [each for each in shape.types if not isinstance(each, shapes.NoneType)]
        for choice in choices:
            if _fits(value, choice):
                return self.of(value, choice, path)
        raise self._mismatch(value, choices[0], path)

    def _of_struct(self, value: Any, shape: shapes.StructType, path: tuple[str, ...]) -> Any:
        if not isinstance(value, _Pairs):
            raise self._mismatch(value, shape, path)
        fields = {each.encode_name.lower(): each for each in shape.fields}
        canonical: dict[str, Any] = {}
        for key, member in value:
            field = fields.get(key.lower())
            if field is None or member is None:
                continue
            name = field.encode_name
            canonical[name] = self.of(member, field.type, (*path, name))
        return canonical

    def _of_scalar(self, value: Any, shape: shapes.Type, path: tuple[str, ...]) -> Any:
        if not _fits(value, shape):
            raise self._mismatch(value, shape, path)
        return value

    def _mismatch(self, value: Any, shape: shapes.Type, path: tuple[str, ...]) -> InvalidJson:
        found, wanted = _json_kind(value), _go_kind(shape)
        if not path:
            return InvalidJson(f"json: cannot unmarshal {found} into Go value of type {wanted}")
        place = ".".join((self._root, *path))
        return InvalidJson(
            f"json: cannot unmarshal {found} into Go struct field {place} of type {wanted}"
        )


def _check_syntax(data: bytes) -> None:
    """Raises: InvalidJson, for what is not JSON whatever the shape."""
    try:
        msgspec.json.decode(data)
    except RecursionError:
        raise InvalidJson("exceeded max depth") from None
    except UnicodeDecodeError:
        raise InvalidJson("invalid UTF-8 in string literal") from None
    except msgspec.DecodeError as error:
        raise InvalidJson(_in_go_words(str(error), data)) from None


def _in_go_words(problem: str, data: bytes) -> str:
    if not data.strip():
        return "EOF"
    if "truncated" in problem:
        return "unexpected end of JSON input"
    if "trailing" in problem:
        return "unexpected content after JSON"
    if "out of range" in problem:
        return "number out of range"
    return problem.removeprefix("JSON is malformed: ")


def _fits(value: Any, shape: shapes.Type) -> bool:
    match shape:
        case shapes.StrType():
            return isinstance(value, str)
        case shapes.BoolType():
            return isinstance(value, bool)
        case shapes.IntType():
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return is_whole and SMALLEST_INT <= value <= LARGEST_INT
        case shapes.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case shapes.ListType() | shapes.VarTupleType():
            return isinstance(value, list) and not isinstance(value, _Pairs)
        case shapes.StructType() | shapes.DictType():
            return isinstance(value, _Pairs)
        case _:
            return False


def _zero(shape: shapes.Type) -> Any:
    match shape:
        case shapes.StrType():
            return ""
        case shapes.BoolType():
            return False
        case shapes.IntType() | shapes.FloatType():
            return 0
        case shapes.ListType() | shapes.VarTupleType():
            return []
        case shapes.StructType() | shapes.DictType():
            return {}
        case _:
            return None


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(each) for key, each in value}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _json_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return f"number {value}" if isinstance(value, float) else "number"
        case _Pairs():
            return "object"
        case _:
            return "array"


def _go_kind(shape: shapes.Type) -> str:
    match shape:
        case shapes.StrType():
            return "string"
        case shapes.BoolType():
            return "bool"
        case shapes.IntType():
            return "int64"
        case shapes.FloatType():
            return "float64"
        case shapes.ListType(item_type=item) | shapes.VarTupleType(item_type=item):
            return f"[]{_go_kind(item)}"
        case shapes.DictType(value_type=member):
            return f"map[string]{_go_kind(member)}"
        case shapes.StructType(cls=kind):
            return kind.__name__
        case _:
            return "interface {}"
