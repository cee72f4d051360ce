"""Cuts a template into tokens (the lexical rules of Go's text/template)."""

from enum import Enum, auto

from wherry.kit.values import dataclass

LEFT, RIGHT = "{{", "}}"
_SPACES = " \t\r\n"
_COMMENT_LEFT, _COMMENT_RIGHT = "/*", "*/"
_DIGITS = {"x": "0123456789abcdefABCDEF_", "o": "01234567_", "b": "01_"}


class Token(Enum):
    """The kinds of tokens."""

    ERROR = auto()
    BOOL = auto()
    CHAR = auto()
    CHARACTER_CONSTANT = auto()
    ASSIGN = auto()
    DECLARE = auto()
    END_OF_TEXT = auto()
    FIELD = auto()
    IDENTIFIER = auto()
    LEFT_DELIMITER = auto()
    LEFT_PARENTHESIS = auto()
    NUMBER = auto()
    PIPE = auto()
    RAW_STRING = auto()
    RIGHT_DELIMITER = auto()
    RIGHT_PARENTHESIS = auto()
    SPACE = auto()
    STRING = auto()
    TEXT = auto()
    VARIABLE = auto()
    DOT = auto()
    NIL = auto()
    KEYWORD = auto()


_WORDS = {"nil": Token.NIL, "true": Token.BOOL, "false": Token.BOOL} | dict.fromkeys(
    ("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"),
    Token.KEYWORD,
)
_PUNCTUATION = {
    "|": Token.PIPE,
    "(": Token.LEFT_PARENTHESIS,
    ")": Token.RIGHT_PARENTHESIS,
    "=": Token.ASSIGN,
}


@dataclass(frozen=True, slots=True)
class Lexeme:
    """One token: its kind, text, offset in the template, and line (from 1)."""

    kind: Token
    text: str
    position: int
    line: int

    def __str__(self) -> str:
        match self.kind:
            case Token.END_OF_TEXT:
                return "EOF"
            case Token.ERROR:
                return self.text
            case Token.KEYWORD | Token.DOT | Token.NIL:
                return f"<{self.text}>"
        return f"{quoted(self.text[:10])}..." if len(self.text) > 10 else quoted(self.text)


def quoted(text: str) -> str:
    """A Go string literal in double quotes (`%q`)."""
    escapes = {
        '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f",
        "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    }  # fmt: skip
    return '"' + "".join(escapes.get(each) or _printable(each) for each in text) + '"'


def tokens(template: str) -> list[Lexeme]:
    """All tokens; the last is END_OF_TEXT or ERROR."""
    return _Lexer(template).run()


def _printable(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _code_point(character: str) -> str:
    """`%#U`: U+0021 '!'."""
    shown = f" '{character}'" if character.isprintable() else ""
    return f"U+{ord(character):04X}{shown}"


class _Broken(Exception):
    """The rest cannot be cut into tokens."""


class _Lexer:
    def __init__(self, template: str) -> None:
        self._input = template
        self._start = 0
        self._at = 0
        self._line = 1
        self._depth = 0
        self._lexemes: list[Lexeme] = []

    def run(self) -> list[Lexeme]:
        try:
            while self._text_before_action():
                self._action()
            self._emit(Token.END_OF_TEXT)
        except _Broken as problem:
            self._lexemes.append(Lexeme(Token.ERROR, str(problem), self._start, self._line))
        return self._lexemes

    def _emit(self, kind: Token) -> None:
        text = self._input[self._start : self._at]
        self._lexemes.append(Lexeme(kind, text, self._start, self._line))
        self._line += text.count("\n")
        self._start = self._at

    def _skip(self) -> None:
        self._line += self._input.count("\n", self._start, self._at)
        self._start = self._at

    def _text_before_action(self) -> bool:
        """Emit the text up to the next action, and enter it; False at the end."""
        while True:
            found = self._input.find(LEFT, self._at)
            end = len(self._input) if found < 0 else found
            after = end + len(LEFT)
            trims = self._is_trim_marker_left(after)
            self._at = end
            if found >= 0 and trims:
                self._at = self._start + len(self._input[self._start : end].rstrip(_SPACES))
            if self._at > self._start:
                self._emit(Token.TEXT)
            if found < 0:
                return False
            self._at = end
            self._skip()
            body = after + (2 if trims else 0)
            if not self._input.startswith(_COMMENT_LEFT, body):
                self._at = after
                self._emit(Token.LEFT_DELIMITER)
                self._at = body
                self._skip()
                self._depth = 0
                return True
            self._comment(body)

    def _is_trim_marker_left(self, at: int) -> bool:
        return self._input[at : at + 1] == "-" and self._input[at + 1 : at + 2] in (*_SPACES,)

    def _right_delimiter_length(self) -> tuple[int, bool]:
        """Length of a right delimiter here, marker included, and whether it trims; 0 if none."""
        here = self._input
        at = self._at
        if here[at : at + 1] in (*_SPACES,) and here.startswith("-" + RIGHT, at + 1):
            return 2 + len(RIGHT), True
        return (len(RIGHT), False) if here.startswith(RIGHT, at) else (0, False)

    def _leave(self, length: int, *, trims: bool) -> None:
        """Pass the right delimiter, and the blanks behind it when it trims."""
        self._at += length
        if trims:
            rest = self._input[self._at :]
            self._at += len(rest) - len(rest.lstrip(_SPACES))
        self._skip()

    def _comment(self, body: int) -> None:
        end = self._input.find(_COMMENT_RIGHT, body)
        if end < 0:
            raise _Broken("unclosed comment")
        self._at = end + len(_COMMENT_RIGHT)
        length, trims = self._right_delimiter_length()
        if not length:
            raise _Broken("comment ends before closing delimiter")
        self._leave(length, trims=trims)

    def _action(self) -> None:
        while True:
            length, trims = self._right_delimiter_length()
            if length:
                if self._depth:
                    raise _Broken("unclosed left paren")
                if trims:
                    self._at += 2
                    self._skip()
                self._at += len(RIGHT)
                self._emit(Token.RIGHT_DELIMITER)
                if trims:
                    self._leave(0, trims=True)
                return
            self._inside_action()

    def _inside_action(self) -> None:
        here = self._input[self._at : self._at + 1]
        following = self._input[self._at + 1 : self._at + 2]
        if not here:
            raise _Broken("unclosed action")
        if here in _SPACES:
            self._spaces()
        elif here == ":":
            if following != "=":
                raise _Broken("expected :=")
            self._at += 2
            self._emit(Token.DECLARE)
        elif here in _PUNCTUATION:
            self._parenthesis(here)
            self._at += 1
            self._emit(_PUNCTUATION[here])
        elif here == '"':
            self._quoted('"', Token.STRING, "unterminated quoted string")
        elif here == "'":
            self._quoted("'", Token.CHARACTER_CONSTANT, "unterminated character constant")
        elif here == "`":
            self._raw_string()
        elif here == "$":
            self._name(Token.VARIABLE)
        elif here == "." and following and not ("0" <= following <= "9"):
            self._name(Token.FIELD)
        elif here in "+-." or "0" <= here <= "9":
            self._number()
        elif _is_alphanumeric(here):
            self._identifier()
        elif " " < here < "\x7f":
            self._at += 1
            self._emit(Token.CHAR)
        else:
            raise _Broken(f"unrecognized character in action: {_code_point(here)}")

    def _parenthesis(self, character: str) -> None:
        self._depth += {"(": 1, ")": -1}.get(character, 0)
        if self._depth < 0:
            raise _Broken("unexpected right paren")

    def _spaces(self) -> None:
        while self._input[self._at : self._at + 1] in (*_SPACES,):
            if self._right_delimiter_length()[0]:
                break  # The last blank belongs to the trim marker.
            self._at += 1
        if self._at > self._start:
            self._emit(Token.SPACE)

    def _quoted(self, quote: str, kind: Token, problem: str) -> None:
        self._at += 1
        while True:
            here = self._input[self._at : self._at + 1]
            following = self._input[self._at + 1 : self._at + 2]
            if here in ("", "\n") or (here == "\\" and following in ("", "\n")):
                raise _Broken(problem)
            self._at += 2 if here == "\\" else 1
            if here == quote:
                self._emit(kind)
                return

    def _raw_string(self) -> None:
        end = self._input.find("`", self._at + 1)
        if end < 0:
            raise _Broken("unterminated raw quoted string")
        self._at = end + 1
        self._emit(Token.RAW_STRING)

    def _name(self, kind: Token) -> None:
        """`.Field`, `$variable`, or a lone dot or dollar."""
        self._at += 1
        begin = self._at
        self._take_alphanumerics()
        if self._at == begin:
            self._emit(Token.DOT if kind is Token.FIELD else Token.VARIABLE)
            return
        self._check_terminator()
        self._emit(kind)

    def _identifier(self) -> None:
        self._take_alphanumerics()
        word = self._input[self._start : self._at]
        self._check_terminator()
        self._emit(_WORDS.get(word, Token.IDENTIFIER))

    def _take_alphanumerics(self) -> None:
        while _is_alphanumeric(self._input[self._at : self._at + 1]):
            self._at += 1

    def _check_terminator(self) -> None:
        here = self._input[self._at : self._at + 1]
        if here and here not in _SPACES + ".,|:()" and not self._input.startswith(RIGHT, self._at):
            raise _Broken(f"bad character {_code_point(here)}")

    def _number(self) -> None:
        self._accept("+-")
        digits = "0123456789_"
        prefix = self._input[self._at : self._at + 2].lower()
        if prefix in ("0x", "0o", "0b"):
            self._at += 2
            digits = _DIGITS[prefix[1]]
        self._accept_run(digits)
        if self._accept("."):
            self._accept_run(digits)
        if (digits.startswith("0123456789_") and self._accept("eE")) or (
            prefix == "0x" and self._accept("pP")
        ):
            self._accept("+-")
            self._accept_run("0123456789_")
        self._accept("i")
        if _is_alphanumeric(self._input[self._at : self._at + 1]):
            shown = self._input[self._start : self._at + 1]
            raise _Broken(f"bad number syntax: {quoted(shown)}")
        self._emit(Token.NUMBER)

    def _accept(self, characters: str) -> bool:
        here = self._input[self._at : self._at + 1]
        if here and here in characters:
            self._at += 1
            return True
        return False

    def _accept_run(self, characters: str) -> None:
        while self._accept(characters):
            pass


def _is_alphanumeric(character: str) -> bool:
    return character == "_" or character.isalpha() or character.isdigit()
