"""Reading JSON documents strictly: every complaint names the field and shows the value.

`json` alone takes too much: NaN, numbers of any size, nesting until the stack ends. Here a
document is read once, field by field, into values of our own; null means absent, as in Go's
decoders, and of duplicate keys the last one counts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

Parsed = str | int | float | bool | None | list["Parsed"] | dict[str, "Parsed"]
"""What `json` makes of a document."""

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]
"""What a document is written from."""
JsonObject = dict[str, Json]

UINT16 = (0, (1 << 16) - 1)
UINT32 = (0, (1 << 32) - 1)
INT32 = (-(1 << 31), (1 << 31) - 1)
INT64 = (-(1 << 63), (1 << 63) - 1)
UINT64 = (0, (1 << 64) - 1)

_SHOWN_LENGTH = 64


class Fields:
    """The members of one JSON object, read by name and by the type they must have.

    `place` is where the object is in the document, such as `linux.resources`; empty at the top.
    """

    __slots__ = ("_members", "place")

    def __init__(self, members: dict[str, Parsed], place: str) -> None:
        self._members = members
        self.place = place

    def where(self, name: str) -> str:
        """The path of a member, for messages."""
        return f"{self.place}.{name}" if self.place else name

    def names(self) -> tuple[str, ...]:
        """The members' names, in the document's order."""
        return tuple(self._members)

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        return self._members.get(name) is not None

    def drop(self, name: str) -> None:
        """Take a member for absent."""
        self._members.pop(name, None)

    def require(self, *names: str) -> None:
        """Insist on members. Raises: ValueError."""
        for name in names:
            if not self.has(name):
                raise ValueError(f"{self.where(name)}: missing")

    def refuse(self, *names: str) -> None:
        """Refuse members that would be lost, unless they say nothing. Raises: ValueError."""
        for name in names:
            if self._members.get(name):
                raise ValueError(f"{self.where(name)}: not supported")

    def text(self, name: str, default: str = "") -> str:
        """A string. Raises: ValueError."""
        value = self._members.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise _wrong(self.where(name), "a string", value)
        return value

    def flag(self, name: str) -> bool:
        """A boolean; absent is false. Raises: ValueError."""
        value = self._members.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise _wrong(self.where(name), "a boolean", value)
        return value

    def number(self, name: str, bounds: tuple[int, int], default: int = 0) -> int:
        """A whole number within bounds, both ends included. Raises: ValueError."""
        value = self._members.get(name)
        return default if value is None else _whole(value, bounds, self.where(name))

    def number_or_none(self, name: str, bounds: tuple[int, int]) -> int | None:
        """A whole number within bounds, None when absent. Raises: ValueError."""
        value = self._members.get(name)
        return None if value is None else _whole(value, bounds, self.where(name))

    def items(self, name: str) -> list[Parsed]:
        """The items of an array; absent is empty. Raises: ValueError."""
        value = self._members.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise _wrong(self.where(name), "an array", value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings. Raises: ValueError."""
        items = self.items(name)
        for index, item in enumerate(items):
            if not isinstance(item, str):
                raise _wrong(f"{self.where(name)}[{index}]", "a string", item)
        return tuple(items)  # type: ignore[arg-type]

    def numbers(self, name: str, bounds: tuple[int, int]) -> tuple[int, ...]:
        """An array of whole numbers. Raises: ValueError."""
        place = self.where(name)
        return tuple(
            _whole(item, bounds, f"{place}[{index}]")
            for index, item in enumerate(self.items(name))
        )

    def texts_by_name(self, name: str) -> Mapping[str, str]:
        """An object of strings. Raises: ValueError."""
        members = self.child(name)._members
        for key, value in members.items():
            if not isinstance(value, str):
                raise _wrong(f"{self.where(name)}.{key}", "a string", value)
        return members  # type: ignore[return-value]

    def child(self, name: str) -> "Fields":
        """A member that is an object; absent is an empty one. Raises: ValueError."""
        value = self._members.get(name)
        return Fields({}, self.where(name)) if value is None else of(value, self.where(name))

    def children_by_name(self, name: str) -> Iterator[tuple[str, "Fields"]]:
        """The objects of an object, with their names. Raises: ValueError."""
        members = self.child(name)
        for key in members.names():
            yield key, members.child(key)

    def children(self, name: str) -> Iterator["Fields"]:
        """The objects of an array. Raises: ValueError."""
        place = self.where(name)
        for index, item in enumerate(self.items(name)):
            yield of(item, f"{place}[{index}]")


def present(**members: Json) -> JsonObject:
    """The members that say something: not None."""
    return {name: value for name, value in members.items() if value is not None}


def parse(document: bytes | str, place: str = "") -> Fields:
    """The members of a document that is one JSON object; `place` is for messages.

    Raises: ValueError for what is not JSON, is nested too deeply, or is no object.
    """
    try:
        return of(json.loads(document, parse_constant=_refuse_constant), place)
    except RecursionError:
        raise ValueError("document: nested too deeply") from None


def of(value: object, place: str) -> Fields:
    """The members of a parsed value that must be an object. Raises: ValueError."""
    if not isinstance(value, dict):
        raise _wrong(place or "document", "an object", value)
    return Fields(value, place)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"document: {name} is not JSON")


def _whole(value: object, bounds: tuple[int, int], place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(place, "a whole number", value)
    low, high = bounds
    if not low <= value <= high:
        raise ValueError(f"{place}: {value} is not in {low}..{high}")
    return value


def _wrong(place: str, expected: str, value: object) -> ValueError:
    shown = repr(value)
    if len(shown) > _SHOWN_LENGTH:
        shown = shown[:_SHOWN_LENGTH] + "..."
    return ValueError(f"{place}: expected {expected}, not {shown}")
