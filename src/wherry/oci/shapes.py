"""JSON objects described once: what each member is called, and what it may be.

Reading and writing both follow from the description, so nothing can be read and not written. A
member that is absent or null leaves its field at the field's own default, and a field without one
insists on its member; a field that is at its default is not written, unless it is kept. The
members of a description are the fields of its value, every one of them: that is looked at when
the description is made.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from wherry.kit.value_methods import ABSENT
from wherry.kit.values import fields as fields_of
from wherry.oci import json_fields
from wherry.oci.json_fields import Fields, Json, JsonObject

_Value = TypeVar("_Value")


class Member:
    """One member of an object, for one field of the value."""

    __slots__ = ("name", "read", "write")

    def __init__(
        self,
        read: Callable[[Fields, str], object],
        write: Callable[[Any], Json] | None = None,
        name: str = "",
    ) -> None:
        """Without `write` the field is JSON already; without a name it has the field's."""
        self.read, self.write, self.name = read, write, name


class Shape(Generic[_Value]):
    """The JSON of one kind of value."""

    def __init__(
        self,
        made: type[_Value],
        *,
        requires: tuple[str, ...] = (),
        keeps: tuple[str, ...] = (),
        refuses: tuple[str, ...] = (),
        **members: Member,
    ) -> None:
        """
        `requires`: fields that a document must tell, although they have a default.
        `keeps`: fields that are always written.
        `refuses`: members that the value can't carry, unless they say nothing.
        """
        defaults = {each.name: _default(each) for each in fields_of(made)}  # type: ignore[arg-type]
        if members.keys() != defaults.keys():
            raise TypeError(f"{made.__name__}: {sorted(members.keys() ^ defaults.keys())}")
        kept = {*requires, *keeps}
        names = {field: each.name or _camel_case(field) for field, each in members.items()}
        self._made, self._refuses = made, refuses
        self._required = tuple(
            names[field] for field in members if field in requires or defaults[field] is ABSENT
        )
        self._readers = tuple((field, names[field], each.read) for field, each in members.items())
        self._writers = tuple(
            (field, names[field], each.write, ABSENT if field in kept else defaults[field])
            for field, each in members.items()
        )

    def read(self, fields: Fields) -> _Value:
        """The value of an object. Raises: ValueError, naming the field and the value."""
        fields.require(*self._required)
        fields.refuse(*self._refuses)
        has = fields.has
        return self._made(
            **{field: read(fields, name) for field, name, read in self._readers if has(name)}
        )

    def from_json(self, value: object, place: str) -> _Value:
        """The value of a parsed object, `place` being where it was found. Raises: ValueError."""
        return self.read(json_fields.of(value, place))

    def to_json(self, value: _Value) -> JsonObject:
        """What `from_json` reads."""
        written: JsonObject = {}
        for field, name, write, default in self._writers:
            found = getattr(value, field)
            if found != default:
                written[name] = found if write is None or found is None else write(found)
        return written


def plain(made: type[_Value], **members: Member) -> Shape[_Value]:
    """The JSON of a value in messages and records of our own.

    Members are called as their fields, and all are written: who reads them may be older than who
    wrote them.
    """
    named = {field: Member(each.read, each.write, field) for field, each in members.items()}
    return Shape(made, requires=(), keeps=tuple(members), refuses=(), **named)


# -- members ---------------------------------------------------------------------------------


def text(name: str = "") -> Member:
    """A string."""
    return Member(Fields.text, name=name)


def flag(name: str = "") -> Member:
    """A boolean."""
    return Member(Fields.flag, name=name)


def number(bounds: tuple[int, int], name: str = "") -> Member:
    """A whole number within bounds, both ends included."""
    return Member(lambda fields, of: fields.number(of, bounds), name=name)


def numbers(bounds: tuple[int, int]) -> Member:
    """An array of whole numbers."""
    return Member(lambda fields, of: fields.numbers(of, bounds))


def texts(name: str = "") -> Member:
    """An array of strings."""
    return Member(Fields.texts, name=name)


def texts_by_name(name: str = "") -> Member:
    """An object of strings."""
    return Member(Fields.texts_by_name, name=name)


def one(shape: Shape[Any], name: str = "") -> Member:
    """An object."""
    return Member(lambda fields, of: shape.read(fields.child(of)), shape.to_json, name)


def many(shape: Shape[Any], name: str = "") -> Member:
    """An array of objects."""
    return Member(
        lambda fields, of: tuple(map(shape.read, fields.children(of))),
        lambda values: list(map(shape.to_json, values)),
        name,
    )


def by_name(shape: Shape[_Value]) -> Member:
    """An object of objects, by names that are no fields."""

    def write(values: Mapping[str, _Value]) -> Json:
        return {name: shape.to_json(each) for name, each in values.items()}

    return Member(
        lambda fields, of: {name: shape.read(each) for name, each in fields.children_by_name(of)},
        write,
    )


def _default(field: Any) -> object:
    """What a field is when nothing is said of it; ABSENT where something must be."""
    return field.default if field.default_factory is ABSENT else field.default_factory()


def _camel_case(field: str) -> str:
    """`oomScoreAdj` for `oom_score_adj`; `class` for `class_`."""
    first, *others = field.rstrip("_").split("_")
    return first + "".join(each.capitalize() for each in others)
