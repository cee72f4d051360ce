"""Reading a command line as runc's does: flags with one dash or two, before the operands.

argparse alone would take longer to import than everything else of a start.
"""

from collections.abc import Mapping

from wherry.kit.numbers import parse_int
from wherry.kit.values import dataclass, field


class UsageError(Exception):
    """The command line can't be understood; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag of a command."""

    name: str
    short: str = ""
    takes_value: bool = True
    is_list: bool = False
    help: str = ""


@dataclass(slots=True, kw_only=True)
class Arguments:
    """What was given: flags by their long names, and the operands."""

    flags: dict[str, list[str]] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        """The last value of a flag."""
        return self.flags[name][-1] if name in self.flags else default

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a flag."""
        return tuple(self.flags.get(name, ()))

    def has(self, name: str) -> bool:
        """Whether a flag was given, and not as `--flag=false`."""
        return self.text(name, "false") != "false"

    def number(self, name: str, default: int = 0) -> int:
        """The value of a flag as a whole number. Raises: UsageError."""
        text = self.text(name)
        if not text:
            return default
        try:
            return parse_int(text)
        except ValueError:
            raise UsageError(f'invalid value "{text}" for flag -{name}') from None

    def container_id(self) -> str:
        """The only operand. Raises: UsageError."""
        if len(self.operands) != 1:
            raise UsageError("needs exactly one container id")
        return self.operands[0]


def read_arguments(words: list[str], flags: tuple[Flag, ...]) -> Arguments:
    """Sort flags from operands; what follows the first operand is an operand.

    Raises: UsageError.
    """
    known: Mapping[str, Flag] = {
        name: each for each in flags for name in (each.name, each.short) if name
    }
    arguments = Arguments()
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            left.insert(0, word)
            break
        name, equals, value = word.lstrip("-").partition("=")
        flag = known.get(name)
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{name}")
        if not flag.takes_value:
            value = value if equals else "true"
        elif not equals:
            if not left:
                raise UsageError(f"flag needs an argument: -{name}")
            value = left.pop(0)
        arguments.flags.setdefault(flag.name, []).append(value)
    arguments.operands = left
    return arguments
