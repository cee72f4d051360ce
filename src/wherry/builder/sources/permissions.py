"""The permissions that `--chmod` asks for: a number, or changes in chmod(1)'s words."""

import re

from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue

_NUMBER = re.compile(r"[0-7]{1,4}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
_CHANGE = re.compile(r"([-+=])([rwxXst]*)")
_EVERYBODY = "ugo"
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
_SPECIAL = {("u", "s"): 0o4000, ("g", "s"): 0o2000, ("o", "t"): 0o1000}


@dataclass(frozen=True, slots=True)
class Change:
    """`g+rX`: what becomes of some people's permissions."""

    who: str
    sign: str
    what: str

    def of(self, mode: int, *, is_directory: bool) -> int:
        """The mode after it."""
        bits = 0
        for person in self.who:
            for letter in self.what:
                is_for_all = letter == "X" and (is_directory or bool(mode & 0o111))
                bit = _BITS.get("x" if is_for_all else letter, 0)
                bits |= bit << _SHIFTS[person] | _SPECIAL.get((person, letter), 0)
        match self.sign:
            case "+":
                return mode | bits
            case "-":
                return mode & ~bits
            case _:
                return mode & ~sum(7 << _SHIFTS[person] for person in self.who) | bits


@dataclass(frozen=True, slots=True)
class Permissions:
    """What files are given; a number is there in the place of what they had."""

    number: int | None = None
    changes: tuple[Change, ...] = ()

    def of(self, mode: int, *, is_directory: bool) -> int:
        """The mode of a file that had another one."""
        if self.number is not None:
            return self.number
        for change in self.changes:
            mode = change.of(mode, is_directory=is_directory)
        return mode


def permissions_of(text: str) -> Permissions | None:
    """`0755`, or `u=rwX,go-w`; None for nothing. Raises: InvalidValue."""
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return Permissions(int(text, 8))
    clauses = [_CLAUSE.fullmatch(each) for each in text.split(",")]
    if text[0].isdigit() or None in clauses:
        raise InvalidValue(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
        )
    return Permissions(
        changes=tuple(
            Change(clause[1].replace("a", _EVERYBODY) or _EVERYBODY, sign, what)
            for clause in clauses
            if clause is not None
            for sign, what in _CHANGE.findall(clause[2])
        )
    )
