"""Data with Go types: what Go's reflection would see in the values that a template walks over.

The Python datum by kind: bool, int, float and str for the scalars; a list of data for a slice; a
dict from string to datum for a map; a dict from field name to datum for a struct; the datum of
the element, or None, for a pointer; a `Value`, or None, for an interface.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import TypeAlias

from wherry.client.documents import Json
from wherry.kit.values import dataclass, field


class Kind(Enum):
    """Go's kinds, as far as documents need them."""

    BOOL = auto()
    INT = auto()
    UINT = auto()
    FLOAT = auto()
    COMPLEX = auto()
    STRING = auto()
    SLICE = auto()
    MAP = auto()
    STRUCT = auto()
    POINTER = auto()
    INTERFACE = auto()


Datum: TypeAlias = object
Method: TypeAlias = Callable[[Datum, Sequence["Value"]], "Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StructField:
    """One field of a struct type, with its JSON tag."""

    name: str
    type: "GoType"
    json_name: str
    omits_empty: bool = False
    is_embedded: bool = False
    json_is_string: bool = False


@dataclass(eq=False, slots=True, kw_only=True)
class GoType:
    """A Go type. Not frozen, because struct types refer to each other."""

    kind: Kind
    name: str
    element: "GoType | None" = None
    key: str = "string"
    """The name of a map's key type, which is a string of some kind."""
    fields: tuple[StructField, ...] = ()
    methods: Mapping[str, Method] = field(default_factory=dict)
    shows: Callable[[Datum], str] | None = None
    """Its String method."""
    encodes: Callable[[Datum], str] | None = None
    """Its MarshalJSON method."""
    zero: Datum = None
    """Its zero datum, where the kind's would be wrong (arrays, times)."""

    def struct_field(self, name: str) -> "tuple[StructField, ...] | None":
        """The path to a field by its Go name, through embedded structs; None if there is none."""
        for each in self.fields:
            if each.name == name:
                return (each,)
        for each in self.fields:
            inner = each.type.element if each.type.kind is Kind.POINTER else each.type
            if each.is_embedded and inner is not None:
                path = inner.struct_field(name)
                if path is not None:
                    return (each, *path)
        return None


@dataclass(frozen=True, slots=True)
class Value:
    """A datum and its type."""

    type: GoType
    datum: Datum


BOOL = GoType(kind=Kind.BOOL, name="bool")
INT = GoType(kind=Kind.INT, name="int")
INT64 = GoType(kind=Kind.INT, name="int64")
FLOAT64 = GoType(kind=Kind.FLOAT, name="float64")
COMPLEX128 = GoType(kind=Kind.COMPLEX, name="complex128")
STRING = GoType(kind=Kind.STRING, name="string")
NUMBER = GoType(kind=Kind.STRING, name="json.Number")
ANY = GoType(kind=Kind.INTERFACE, name="interface {}")


def slice_of(element: GoType) -> GoType:
    """`[]element`."""
    return GoType(kind=Kind.SLICE, name=f"[]{element.name}", element=element)


def map_of(element: GoType) -> GoType:
    """`map[string]element`."""
    return GoType(kind=Kind.MAP, name=f"map[string]{element.name}", element=element)


def pointer_to(element: GoType) -> GoType:
    """`*element`."""
    return GoType(kind=Kind.POINTER, name=f"*{element.name}", element=element)


ANY_SLICE = slice_of(ANY)
ANY_MAP = map_of(ANY)
STRINGS = slice_of(STRING)


class WrittenNumber(str):
    """A JSON number as it was written."""

    __slots__ = ()


def of_string(text: str) -> Value:
    """A Go string."""
    return Value(STRING, text)


def from_json(value: Json | WrittenNumber) -> Value | None:
    """The value that Go's decoder makes of a document whose shape it doesn't know.

    Whole and fractional numbers become float64 unless they came as `WrittenNumber`.
    """
    if value is None:
        return None
    if isinstance(value, WrittenNumber):
        return Value(NUMBER, str(value))
    if isinstance(value, bool):
        return Value(BOOL, value)
    if isinstance(value, int | float):
        return Value(FLOAT64, float(value))
    if isinstance(value, str):
        return Value(STRING, value)
    if isinstance(value, list):
        return Value(ANY_SLICE, [from_json(each) for each in value])
    return Value(ANY_MAP, {key: from_json(each) for key, each in value.items()})


def element_type(of: GoType) -> GoType:
    """The type of a slice's, map's or pointer's elements."""
    if of.element is None:
        raise TypeError(f"{of.name} has no elements")
    return of.element


def items_of(value: Value) -> list[Datum]:
    """The data of a slice; none of a nil one."""
    return value.datum if isinstance(value.datum, list) else []


def entries_of(value: Value) -> dict[str, Datum]:
    """The data of a map or struct; none of a nil one."""
    return value.datum if isinstance(value.datum, dict) else {}


def unwrapped(value: Value | None) -> Value | None:
    """What an interface holds; any other value is itself. None is Go's invalid value."""
    while value is not None and value.type.kind is Kind.INTERFACE:
        inner = value.datum
        value = inner if isinstance(inner, Value) else None
    return value


def indirect(value: Value) -> tuple[Value, bool]:
    """Follow pointers and interfaces; the second part says that one of them was nil."""
    while value.type.kind in (Kind.POINTER, Kind.INTERFACE):
        if value.datum is None:
            return value, True
        if isinstance(value.datum, Value):
            value = value.datum
        else:
            value = Value(element_type(value.type), value.datum)
    return value, False


def is_true(value: Value | None) -> bool:
    """Go templates' truth: not false, zero, nil or empty; a struct always."""
    if value is None or value.datum is None:
        return False
    if value.type.kind in (Kind.STRUCT, Kind.POINTER, Kind.INTERFACE):
        return True
    return bool(value.datum)


def zero(of: GoType) -> Datum:
    """The zero datum of a type."""
    if of.zero is not None:
        return of.zero
    match of.kind:
        case Kind.BOOL:
            return False
        case Kind.INT | Kind.UINT:
            return 0
        case Kind.FLOAT:
            return 0.0
        case Kind.STRING:
            return ""
        case Kind.STRUCT:
            return {each.name: zero(each.type) for each in of.fields}
        case _:
            return None


def decode(of: GoType, value: Json) -> Datum:
    """The datum of a known type in a JSON value, as lenient as Go's decoder about what is absent.

    Raises: ValueError for a value of another kind.
    """
    if value is None:
        return zero(of)
    match of.kind:
        case Kind.POINTER:
            return decode(element_type(of), value)
        case Kind.INTERFACE:
            return from_json(value)
        case Kind.STRUCT if isinstance(value, dict):
            return _decode_struct(of, value)
        case Kind.SLICE if isinstance(value, list):
            return [decode(element_type(of), each) for each in value]
        case Kind.MAP if isinstance(value, dict):
            return {key: decode(element_type(of), each) for key, each in value.items()}
        case Kind.STRING if isinstance(value, str):
            return value
        case Kind.BOOL if isinstance(value, bool):
            return value
        case Kind.FLOAT if isinstance(value, int | float):
            return float(value)
        case Kind.INT | Kind.UINT if isinstance(value, int):
            return value
    raise ValueError(f"cannot decode {type(value).__name__} into {of.name}")


def _decode_struct(of: GoType, document: dict[str, Json]) -> dict[str, Datum]:
    folded = {key.lower(): each for key, each in document.items()}
    result: dict[str, Datum] = {}
    for each in of.fields:
        if each.is_embedded:
            result[each.name] = decode(each.type, document)
            continue
        value = folded.get(each.json_name.lower())
        if each.json_is_string and isinstance(value, str):
            value = int(value)
        result[each.name] = decode(each.type, value)
    return result
