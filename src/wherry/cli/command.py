"""What a command is: its words, flags and arguments, and the function that runs it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wherry.cli.flags import Flag, Parsed

if TYPE_CHECKING:
    from wherry.cli.session import Session

NO_LIMIT = -1


class Arguments(NamedTuple):
    """How many arguments a command takes."""

    least: int
    most: int


NONE = Arguments(0, 0)
ONE = Arguments(1, 1)
TWO = Arguments(2, 2)
AT_MOST_ONE = Arguments(0, 1)
ONE_OR_MORE = Arguments(1, NO_LIMIT)
TWO_OR_MORE = Arguments(2, NO_LIMIT)
ANY = Arguments(0, NO_LIMIT)


class Command(NamedTuple):
    """One command. `shape` is what follows its name in the usage line, a line for each form."""

    shape: str
    summary: str
    arguments: Arguments
    run: "Callable[[Session, Parsed], int]"
    flags: Sequence[Flag] = ()
    interspersed: bool = True
    whole_help: Callable[[], str] | None = None
    """The help of one that has commands of its own; None: made of the rest."""


def count_problem(path: str, given: int, wanted: Arguments) -> str:
    """Docker's complaint about a number of arguments; empty when the number is right."""
    least, most = wanted
    if given >= least and (most == NO_LIMIT or given <= most):
        return ""
    if most == 0:
        return f"'{path}' accepts no arguments"
    if most == NO_LIMIT:
        return f"'{path}' requires at least {least} {_plural(least)}"
    if least == most:
        return f"'{path}' requires {least} {_plural(least)}"
    if least == 0:
        return f"'{path}' requires at most {most} {_plural(most)}"
    return f"'{path}' requires at least {least} and at most {most} {_plural(most)}"


def _plural(count: int) -> str:
    return "argument" if count == 1 else "arguments"
