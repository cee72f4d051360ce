"""The `filters` of lists and prunes: which keys an endpoint knows, and what their values say.

One reading for all nouns: every key must match, any value of a key will do, except for labels,
all of which must be there. The sentences are those of Docker (api/types/filters).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from wherry.kit.points_in_time import read_point_in_time
from wherry.model.errors import InvalidValue
from wherry.model.queries import Filters

_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false"})


class Pattern(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> object | None: ...


class FilterReader:
    """One request's filters, checked against the keys that its endpoint knows."""

    def __init__(self, filters: Filters, known: frozenset[str]) -> None:
        """Raises: InvalidValue for an unknown key."""
        unknown = filters.keys() - known
        if unknown:
            raise InvalidValue(f"invalid filter '{min(unknown)}'")
        self._filters = filters

    @property
    def keys(self) -> frozenset[str]:
        """The keys that were given."""
        return frozenset(self._filters)

    def __contains__(self, key: str) -> bool:
        return key in self._filters

    def values(self, key: str) -> Sequence[str]:
        """The values of a key; none for one that was not given."""
        return self._filters.get(key, ())

    def claim(self, key: str) -> bool | None:
        """A yes or no; None when the key was not given.

        Raises: InvalidValue for another value, and for both at once.
        """
        if key not in self._filters:
            return None
        values = frozenset(self._filters[key])
        if bool(values & _TRUE) is bool(values & _FALSE):
            raise invalid_value(key, f"[{' '.join(sorted(values))}]" if values else "")
        return bool(values & _TRUE)

    def until(self, now_ns: int) -> int | None:
        """`until`, a time or how long ago, in nanoseconds since the epoch; None without it.

        Raises: InvalidValue for several, and for one that is no time.
        """
        values = self.values("until")
        if len(values) > 1:
            raise InvalidValue("more than one until filter specified")
        return parse_until(values[0], now_ns) if values else None

    def labels_match(self, labels: Mapping[str, str]) -> bool:
        """Whether all of `label` are there, and not all of `label!`."""
        unwanted = self.values("label!")
        return all(has_label(labels, each) for each in self.values("label")) and not (
            unwanted and all(has_label(labels, each) for each in unwanted)
        )

    def patterns(self, key: str) -> Sequence[Pattern]:
        """The values of a key as expressions to be searched for; malformed ones match nothing."""
        return tuple(
            pattern for each in self.values(key) if (pattern := compiled_pattern(each)) is not None
        )


def invalid_value(key: str, value: str) -> InvalidValue:
    """What is said of a value that a filter can't have; without one, of the filter."""
    return InvalidValue(f"invalid filter '{key}={value}'" if value else f"invalid filter '{key}'")


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether a label `name`, or `name=value`, is there."""
    name, separator, value = wanted.partition("=")
    return name in labels and (not separator or labels[name] == value)


def compiled_pattern(text: str) -> Pattern | None:
    """An expression of Go's syntax, in time linear in what is searched; None if malformed.

    RE2 is what Go's package is: a user's expression can't hold up the engine.
    """
    import re2  # Its library is loaded with the first filter that needs it.

    options = re2.Options()
    options.log_errors = False
    try:
        pattern: Pattern = re2.compile(text, options)
    except re2.error:
        return None
    return pattern


def parse_until(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of a point in time. Raises: InvalidValue."""
    try:
        return read_point_in_time(text, now_ns)
    except ValueError:
        raise InvalidValue(
            "invalid value for 'until' filter: failed to parse value as time or duration: "
            f'"{text}"'
        ) from None
