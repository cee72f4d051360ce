"""Dataclasses that cost an interpreter little: time when it starts, memory for as long as it runs.

Theory of operation. `dataclasses` writes the methods of each class as source text and compiles
them: a quarter of a millisecond a class, more than all else that importing it costs, and it
imports `inspect` to do so. A runtime that starts anew for each container pays for 150 classes
before it has read its configuration; a daemon keeps the methods of 700 in memory, 10 KiB each.
Here all classes share their methods, which find the fields by the class, and `__init__` alone is
a closure of each over what it has to know. So making a class compiles nothing.

The classes behave as those of `dataclasses` do, and are dataclasses for everybody: its `fields`,
`replace`, `asdict` and `is_dataclass` take them, since a real dataclass of the same fields is
made when somebody asks for `__dataclass_fields__`. To a type checker they *are* real ones. Not
here, as no value needs it: `order`, `init=False`, `metadata`, `InitVar`, `__post_init__`, and
fields inherited from a dataclass of the other kind.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from wherry.kit.value_methods import (
    ABSENT,
    FREEZING,
    Field,
    Fields,
    compared,
    equal,
    hashed,
    initializer,
    represent,
)

__all__ = ["dataclass", "field", "fields", "replace"]

_Class = type[Any]
_Member: TypeAlias = Any
"""Whatever stands in a class."""
_Members = dict[str, _Member]


def _dataclass(
    *, slots: bool = False, frozen: bool = False, kw_only: bool = False, eq: bool = True
) -> Callable[[_Class], _Class]:
    def decorated(plain: _Class) -> _Class:
        inherited = {
            x.name: x
            for base in plain.__mro__[:0:-1]
            for x in vars(base).get("__value_fields__", ())
        }
        own = {x.name: x for x in _declared(plain, is_keyword=kw_only)}
        fields = tuple({**inherited, **own}.values())
        written = {name: member for name, member in vars(plain).items() if name not in own}
        members = _members(plain.__qualname__, fields, written, is_frozen=frozen, is_compared=eq)
        if slots:
            slotted = tuple(name for name in own if name not in inherited)
            return _again(plain, {**written, **members, "__slots__": slotted})
        for name in own.keys() & vars(plain).keys():
            delattr(plain, name)
        for name, member in members.items():
            setattr(plain, name, member)
        return plain

    return decorated


def _again(plain: _Class, members: _Members) -> _Class:
    """The class once more, as slots have to be there when a class is made."""
    members = {x: member for x, member in members.items() if x not in ("__dict__", "__weakref__")}
    metaclass: Any = type(plain)
    made: _Class = metaclass(plain.__name__, plain.__bases__, members)
    made.__qualname__ = plain.__qualname__
    return made


def _members(
    called: str,
    fields: Fields,
    written: Mapping[str, _Member],
    *,
    is_frozen: bool,
    is_compared: bool,
) -> _Members:
    """What a class gets, unless it has written its own."""
    members: _Members = {"__repr__": represent, **(FREEZING if is_frozen else {})}
    if is_compared:
        members |= {"__eq__": equal, "__value_compared__": compared(fields)}
    members = {name: member for name, member in members.items() if name not in written}
    if is_compared and written.get("__hash__") is None:
        members["__hash__"] = hashed if is_frozen else None
    return members | {
        "__init__": initializer(called, fields),
        "__match_args__": tuple(x.name for x in fields if not x.is_keyword),
        "__value_fields__": fields,
        **_AS_REAL[is_frozen],
    }


def _declared(plain: _Class, *, is_keyword: bool) -> Iterator[Field]:
    """The fields of a class's own annotations."""
    for name, annotation in vars(plain).get("__annotations__", {}).items():
        if getattr(annotation, "__origin__", annotation) is ClassVar:
            continue
        default = vars(plain).get(name, ABSENT)
        declared = default if isinstance(default, Field) else Field(default)
        declared.name, declared.is_keyword = name, is_keyword
        yield declared


def _fields(value: Any) -> Fields:
    found: Fields = value.__value_fields__
    return found


def _replace(value: Any, /, **changes: Any) -> Any:
    kept = {x.name: getattr(value, x.name) for x in _fields(value) if x.name not in changes}
    return type(value)(**kept, **changes)


class _OfRealOne:
    """An attribute of a real dataclass of the same fields, made at the first look."""

    __slots__ = ("_is_frozen", "_name")

    def __init__(self, name: str, *, is_frozen: bool) -> None:
        self._name, self._is_frozen = name, is_frozen

    def __get__(self, _value: object, made: _Class) -> object:
        from dataclasses import make_dataclass

        annotations = {
            name: annotation
            for base in reversed(made.__mro__)
            for name, annotation in vars(base).get("__annotations__", {}).items()
        }
        declared = [(x.name, annotations[x.name], _real_field(x)) for x in _fields(made)]
        real = make_dataclass(made.__name__, declared, frozen=self._is_frozen)
        found = getattr(real, self._name)
        setattr(made, self._name, found)
        return found


_AS_REAL = {
    is_frozen: {
        name: _OfRealOne(name, is_frozen=is_frozen)
        for name in ("__dataclass_fields__", "__dataclass_params__")
    }
    for is_frozen in (False, True)
}


def _real_field(declared: Field) -> Any:
    from dataclasses import field

    defaults = {"default": declared.default, "default_factory": declared.default_factory}
    return field(
        repr=declared.repr,
        compare=declared.compare,
        kw_only=declared.is_keyword,
        **{name: default for name, default in defaults.items() if default is not ABSENT},
    )


if TYPE_CHECKING:
    from dataclasses import dataclass, field, fields, replace
else:
    dataclass, field, fields, replace = _dataclass, Field, _fields, _replace
