"""The methods of a value, made as closures over its fields. See `wherry.kit.values`."""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

ABSENT: Any = object()
"""There is no default: None would be one."""

Method = Callable[..., Any]


class Field:
    """How one field was declared."""

    __slots__ = ("compare", "default", "default_factory", "is_keyword", "name", "repr")

    def __init__(
        self,
        default: Any = ABSENT,
        default_factory: Any = ABSENT,
        repr: bool = True,
        compare: bool = True,
    ) -> None:
        self.name, self.is_keyword = "", True
        self.default, self.default_factory = default, default_factory
        self.repr, self.compare = repr, compare


Fields = tuple[Field, ...]


def initializer(made: type[Any], fields: Fields) -> Method:
    """`__init__` of a class that has its slots."""
    name_of_class = made.__qualname__
    setters = tuple((x.name, getattr(made, x.name).__set__) for x in fields)
    in_order = tuple(x.name for x in fields if not x.is_keyword)
    defaults = {x.name: x.default for x in fields if x.default is not ABSENT}
    factories = tuple(
        (x.name, x.default_factory) for x in fields if x.default_factory is not ABSENT
    )

    def __init__(self: Any, *positional: Any, **named: Any) -> None:
        if positional:
            named.update(_by_name(name_of_class, in_order, positional, named))
        values = {**defaults, **named}
        for name, factory in factories:
            if name not in named:
                values[name] = factory()
        try:
            for name, put in setters:
                put(self, values[name])
        except KeyError:
            raise _missing(name_of_class, setters, values) from None
        if len(values) != len(setters):
            raise _surplus(name_of_class, setters, values)

    return __init__


def _by_name(
    called: str, in_order: tuple[str, ...], positional: tuple[Any, ...], named: Iterable[str]
) -> Iterator[tuple[str, Any]]:
    """Positional arguments with their names. Raises: TypeError."""
    if len(positional) > len(in_order):
        raise TypeError(
            f"{called}.__init__() takes {len(in_order) + 1} positional arguments "
            f"but {len(positional) + 1} were given"
        )
    for name in set(in_order[: len(positional)]).intersection(named):
        raise TypeError(f"{called}.__init__() got multiple values for argument {name!r}")
    return zip(in_order, positional, strict=False)


Setters = tuple[tuple[str, Method], ...]


def _missing(called: str, setters: Setters, given: Iterable[str]) -> TypeError:
    missing = ", ".join(repr(name) for name, _ in setters if name not in set(given))
    return TypeError(f"{called}.__init__() missing required arguments: {missing}")


def _surplus(called: str, setters: Setters, given: Iterable[str]) -> TypeError:
    surplus = ", ".join(repr(name) for name in given if name not in {name for name, _ in setters})
    return TypeError(f"{called}.__init__() got an unexpected keyword argument {surplus}")


def representation(fields: Fields) -> Method:
    """`__repr__`: the call that makes an equal value."""
    names = tuple(x.name for x in fields if x.repr)

    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return __repr__


def equality(fields: Fields) -> Method:
    """`__eq__`: of the same class, and each compared field the same."""
    compared = _compared(fields)

    def __eq__(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    return __eq__


def hashing(fields: Fields) -> Method:
    """`__hash__` that agrees with `equality`."""
    compared = _compared(fields)

    def __hash__(self: Any) -> int:
        return hash(compared(self))

    return __hash__


def _compared(fields: Fields) -> Method:
    names = tuple(x.name for x in fields if x.compare)
    return attrgetter(*names) if names else lambda _value: ()


def freezing(fields: Fields) -> dict[str, Method]:
    """The methods that let nothing be changed, copies and pickles excepted."""
    names = tuple(x.name for x in fields)

    def refuse(self: Any, name: str, _value: object = None) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot change field {name!r}")

    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def restore(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {
        "__setattr__": refuse,
        "__delattr__": refuse,
        "__getstate__": state,
        "__setstate__": restore,
    }
