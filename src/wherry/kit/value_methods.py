"""The methods of values, which find the fields by their class. See `wherry.kit.values`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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


def initializer(name_of_class: str, fields: Fields) -> Method:
    """`__init__` of a class; the one method that each class has its own of, for its speed."""
    names = tuple(x.name for x in fields)
    in_order = tuple(x.name for x in fields if not x.is_keyword)
    defaults = {x.name: x.default for x in fields if x.default is not ABSENT}
    factories = tuple(
        (x.name, x.default_factory) for x in fields if x.default_factory is not ABSENT
    )
    put = object.__setattr__

    def __init__(self: Any, *positional: Any, **named: Any) -> None:
        if positional:
            named.update(_by_name(name_of_class, in_order, positional, named))
        values = {**defaults, **named}
        for name, factory in factories:
            if name not in named:
                values[name] = factory()
        try:
            for name in names:
                put(self, name, values[name])
        except KeyError:
            raise _missing(name_of_class, names, values) from None
        if len(values) != len(names):
            raise _surplus(name_of_class, names, values)

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


def _missing(called: str, names: Sequence[str], given: Iterable[str]) -> TypeError:
    missing = ", ".join(repr(name) for name in names if name not in set(given))
    return TypeError(f"{called}.__init__() missing required arguments: {missing}")


def _surplus(called: str, names: Sequence[str], given: Iterable[str]) -> TypeError:
    surplus = ", ".join(repr(name) for name in given if name not in names)
    return TypeError(f"{called}.__init__() got an unexpected keyword argument {surplus}")


def compared(fields: Fields) -> Method:
    """`__value_compared__`: what equality and hash look at, as one value."""
    names = tuple(x.name for x in fields if x.compare)
    return attrgetter(*names) if names else attrgetter("__class__")


def represent(self: Any) -> str:
    """`__repr__`: the call that makes an equal value."""
    names = (x.name for x in self.__value_fields__ if x.repr)
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{self.__class__.__qualname__}({shown})"


def equal(self: Any, other: Any) -> Any:
    """`__eq__`: of the same class, and each compared field the same."""
    if other.__class__ is not self.__class__:
        return NotImplemented
    seen = self.__value_compared__
    return seen(self) == seen(other)


def hashed(self: Any) -> int:
    """`__hash__` that agrees with `equal`."""
    return hash(self.__value_compared__(self))


def _refuse(_self: Any, name: str, _value: object = None) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, x.name) for x in self.__value_fields__]


def _restore(self: Any, state: list[Any]) -> None:
    for field, value in zip(self.__value_fields__, state, strict=True):
        object.__setattr__(self, field.name, value)


FREEZING = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _state,
    "__setstate__": _restore,
}
"""The methods that let nothing be changed, copies and pickles excepted."""
