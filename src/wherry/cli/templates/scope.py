"""The variables of a template: those declared last hide others of their name."""

from wherry.cli.templates.values import Value


class Scope:
    """Variables in the order of their declaration; `$` is the first."""

    def __init__(self, value: Value | None) -> None:
        self._variables: list[tuple[str, Value | None]] = [("$", value)]

    def mark(self) -> int:
        """Where the scope is now, for `leave`."""
        return len(self._variables)

    def leave(self, mark: int) -> None:
        """Forget what was declared since a mark."""
        del self._variables[mark:]

    def declare(self, name: str, value: Value | None) -> None:
        """A new variable."""
        self._variables.append((name, value))

    def assign(self, name: str, value: Value | None) -> None:
        """Another value for the last of that name. Raises: KeyError."""
        for position in range(len(self._variables) - 1, -1, -1):
            if self._variables[position][0] == name:
                self._variables[position] = (name, value)
                return
        raise KeyError(name)

    def value(self, name: str) -> Value | None:
        """The value of the last of that name. Raises: KeyError."""
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise KeyError(name)
