"""Variables in words: `$name`, `${name}` with every modifier, quotes and escapes taken off.

A word is read once from left to right. What a word may become is bounded, because variables that
hold each other twice would grow without end. Patterns are matched by RE2, in linear time.
"""

import re
from collections.abc import Mapping

from wherry.kit.values import dataclass, field

LONGEST_VALUE = 1 << 20
"""Characters of an expanded word. Docker has no bound."""
MOST_NESTED = 64
"""How deep `${a:-${b:-...}}` may go."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")


@dataclass(slots=True)
class Scope:
    """The variables that words see, and what was asked for."""

    values: Mapping[str, str]
    escape: str = "\\"
    used: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Those that are not set, and that nothing was said to stand for."""

    def word(self, text: str) -> str:
        """One word, expanded, without its quotes. Raises: ValueError in Docker's words."""
        return self._reading(text).word()

    def words(self, text: str) -> list[str]:
        """As `word`, and split where variables that were not quoted have blanks.

        Raises: ValueError.
        """
        reading = self._reading(text)
        reading.word()
        return reading.split_words()

    def heredoc(self, text: str) -> str:
        """A here-document's content: variables, but quotes are text. Raises: ValueError."""
        return self._reading(text).raw()

    def _reading(self, text: str) -> "_Reading":
        return _Reading(text, self)


class _Reading:
    """One pass over one word."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._scope = scope
        self._at = 0
        self._depth = 0
        self._pieces: list[tuple[str, bool]] = []
        """What came out, and whether it may be split at blanks."""
        self._length = 0

    def word(self) -> str:
        try:
            self._read_until("")
        except ValueError as error:
            raise ValueError(f"failed to process {self._shown()}: {error}") from None
        return "".join(piece for piece, _splits in self._pieces)

    def _shown(self) -> str:
        """The text as Go's %q writes it."""
        escaped = shortened(self._text).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    def split_words(self) -> list[str]:
        found: list[str] = []
        current: list[str] = []
        is_open = False
        for piece, splits in self._pieces:
            if not splits:
                current.append(piece)
                is_open = True
                continue
            parts = piece.split()
            if piece[:1].isspace() and is_open:
                found.append("".join(current))
                current, is_open = [], False
            for index, part in enumerate(parts):
                if index:
                    found.append("".join(current))
                    current = []
                current.append(part)
                is_open = True
            if parts and piece[-1:].isspace():
                found.append("".join(current))
                current, is_open = [], False
        if is_open:
            found.append("".join(current))
        return found

    def raw(self) -> str:
        try:
            while self._at < len(self._text):
                character = self._text[self._at]
                if character == "$":
                    self._put(self._dollar())
                    continue
                self._at += 1
                following = self._text[self._at : self._at + 1]
                if character == self._scope.escape and following == "$":
                    character = following
                    self._at += 1
                self._put(character)
        except ValueError as error:
            raise ValueError(f"failed to process {self._shown()}: {error}") from None
        return "".join(piece for piece, _splits in self._pieces)

    # -- inside ------------------------------------------------------------------------------

    def _put(self, piece: str, *, splits: bool = False) -> None:
        self._length += len(piece)
        if self._length > LONGEST_VALUE:
            raise ValueError(f"the result is longer than {LONGEST_VALUE} characters")
        self._pieces.append((piece, splits))

    def _read_until(self, end: str) -> None:
        """Up to a character that ends the word, or to the end of the text."""
        text, escape = self._text, self._scope.escape
        while self._at < len(text):
            character = text[self._at]
            if character == end:
                return
            if character == "'":
                self._put(self._single_quoted())
            elif character == '"':
                self._double_quoted()
            elif character == "$":
                self._put(self._dollar(), splits=True)
            elif character == escape:
                self._put(text[self._at + 1 : self._at + 2])
                self._at += 2
            else:
                begin = self._at
                while self._at < len(text) and text[self._at] not in ("'", '"', "$", escape, end):
                    self._at += 1
                self._put(text[begin : self._at], splits=True)

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise ValueError("unexpected end of statement while looking for matching single-quote")
        piece = self._text[self._at + 1 : end]
        self._at = end + 1
        return piece

    def _double_quoted(self) -> None:
        text, escape = self._text, self._scope.escape
        self._at += 1
        self._put("")
        while self._at < len(text):
            character = text[self._at]
            if character == '"':
                self._at += 1
                return
            if character == "$":
                self._put(self._dollar())
                continue
            if character == escape:
                following = text[self._at + 1 : self._at + 2]
                self._put(following if following in ('"', "$", escape) else escape + following)
                self._at += 2
                continue
            self._put(character)
            self._at += 1
        raise ValueError("unexpected end of statement while looking for matching double-quote")

    def _dollar(self) -> str:
        self._at += 1
        if self._text[self._at : self._at + 1] != "{":
            name = self._name()
            return self._needed(name) if name else "$"
        self._at += 1
        if self._at >= len(self._text):
            raise ValueError("syntax error: missing '}'")
        if self._text[self._at] in "}:":
            raise ValueError("syntax error: bad substitution")
        name = self._name()
        return self._modified(name)

    def _modified(self, name: str) -> str:
        modifier = self._text[self._at : self._at + 1]
        self._at += 1
        value = self._value(name)
        match modifier:
            case "}":
                return self._needed(name)
            case "":
                raise ValueError("syntax error: missing '}'")
            case ":":
                kind = self._text[self._at : self._at + 1]
                self._at += 1
                if not kind:
                    raise ValueError("syntax error: missing ':' in substitution")
                if kind not in "-+?":
                    raise ValueError(f"unsupported modifier ({kind}) in substitution")
                return self._substitute(name, kind, value or None, "not allowed to be empty")
            case "-" | "+" | "?":
                return self._substitute(name, modifier, value, "not allowed to be unset")
            case "#" | "%" | "/":
                return self._pattern(modifier, self._needed(name))
            case _:
                raise ValueError(f"unsupported modifier ({modifier}) in substitution")

    def _substitute(self, name: str, kind: str, value: str | None, complaint: str) -> str:
        word = self._nested("}")
        if kind == "-":
            return word if value is None else value
        if kind == "+":
            return "" if value is None else word
        if value is None:
            raise ValueError(f"{name}: {word or complaint}")
        return value

    def _pattern(self, kind: str, value: str) -> str:
        is_double = self._text[self._at : self._at + 1] == kind
        if is_double:
            self._at += 1
        if kind == "/":
            pattern = self._nested("/", keeps_escapes=True)
            replacement = self._nested("}")
            return _replaced(value, pattern, replacement, everywhere=is_double)
        pattern = self._nested("}", keeps_escapes=True)
        return _trimmed(value, pattern, at_end=kind == "%", is_greedy=is_double)

    def _nested(self, end: str, *, keeps_escapes: bool = False) -> str:
        """A word inside the braces, up to the character that ends it."""
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise ValueError(f"substitutions are nested more than {MOST_NESTED} deep")
        outer, length = self._pieces, self._length
        self._pieces, self._length = [], 0
        if keeps_escapes:
            self._read_pattern(end)
        else:
            self._read_until(end)
        if self._at >= len(self._text):
            raise ValueError("syntax error: missing '}'")
        self._at += 1
        word = "".join(piece for piece, _splits in self._pieces)
        self._pieces, self._length = outer, length
        self._depth -= 1
        return word

    def _read_pattern(self, end: str) -> None:
        """As a word, but what is escaped stays so: it is no wildcard then."""
        text, escape = self._text, self._scope.escape
        while self._at < len(text) and text[self._at] != end:
            character = text[self._at]
            if character == "$":
                self._put(self._dollar())
            elif character == escape:
                self._put("\\" + text[self._at + 1 : self._at + 2])
                self._at += 2
            else:
                self._put(character)
                self._at += 1

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group()

    def _needed(self, name: str) -> str:
        value = self._value(name)
        if value is None:
            self._scope.missing.add(name)
        return value or ""

    def _value(self, name: str) -> str | None:
        self._scope.used.add(name)
        return self._scope.values.get(name)


def shortened(text: str) -> str:
    """A text as an error quotes it."""
    return text if len(text) <= 200 else text[:200] + "..."


# -- patterns --------------------------------------------------------------------------------


def _regular(pattern: str, *, is_greedy: bool) -> str:
    """A shell pattern as a regular expression."""
    any_number = ".*" if is_greedy else ".*?"
    pieces = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and position + 1 < len(pattern):
            position += 1
            pieces.append(re.escape(pattern[position]))
        elif character == "*":
            pieces.append(any_number)
        elif character == "?":
            pieces.append(".")
        else:
            pieces.append(re.escape(character))
        position += 1
    return "(?s)" + "".join(pieces)


def _trimmed(value: str, pattern: str, *, at_end: bool, is_greedy: bool) -> str:
    import re2  # seldom wanted

    if not at_end:
        match = re2.match(_regular(pattern, is_greedy=is_greedy), value)
        return value[match.end() :] if match else value
    # From the end: both are turned round, so that the shortest match is the shortest ending.
    match = re2.match(_regular(_reversed(pattern), is_greedy=is_greedy), value[::-1])
    return value[: len(value) - match.end()] if match else value


def _reversed(pattern: str) -> str:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return "".join(reversed(parts))


def _replaced(value: str, pattern: str, replacement: str, *, everywhere: bool) -> str:
    import re2  # seldom wanted

    if not pattern:
        return value
    compiled = re2.compile(_regular(pattern, is_greedy=True))
    pieces, end, length = [], 0, 0
    for match in compiled.finditer(value):
        if match.start() == match.end():
            continue
        pieces += [value[end : match.start()], replacement]
        length += len(replacement)
        if length > LONGEST_VALUE:
            raise ValueError(f"the result is longer than {LONGEST_VALUE} characters")
        end = match.end()
        if not everywhere:
            break
    return "".join(pieces) + value[end:]
