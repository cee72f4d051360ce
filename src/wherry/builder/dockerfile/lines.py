"""Logical lines: what is left when directives, comments and continuations are understood.

A line goes on in the next one when it ends in the escape character. Comments and empty lines
between the parts don't count. RUN, COPY and ADD may name here-documents, whose lines follow the
logical line and are no instructions (Dockerfile reference, "Format", "Here-documents").
"""

import re
from collections.abc import Iterator

from wherry.builder.dockerfile import words
from wherry.kit.values import dataclass, field
from wherry.model.errors.builds import DockerfileRefused

LONGEST_LINE = 65535
"""Bytes of one physical line, as in Docker."""
LARGEST_FILE = 16 << 20
"""Bytes of a Dockerfile. Docker has no bound."""

_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*")
_DIRECTIVES = frozenset({"check", "escape", "syntax"})
_WITH_HEREDOCS = frozenset({"ADD", "COPY", "RUN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heredoc:
    """A here-document: its name, its lines, and how they are to be read."""

    name: str
    content: str
    expands: bool
    """Variables are put in; not when the name was quoted."""
    strips_tabs: bool
    """It was written `<<-`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A logical line, and the physical line that it begins on, counted from 1."""

    number: int
    text: str
    heredocs: tuple[Heredoc, ...] = ()
    last: int = 0
    """The physical line that it ends on, without its here-documents."""
    has_empty_part: bool = False
    """There is an empty line in the middle of it."""
    comments: tuple[str, ...] = ()
    """Those right before it, without their signs."""


@dataclass(slots=True)
class Text:
    """A Dockerfile's lines, read one after the other."""

    lines: list[str]
    escape: str = "\\"
    directives: dict[str, str] = field(default_factory=dict)
    position: int = 0

    def logical(self) -> Iterator[Line]:
        """Every logical line. Raises: DockerfileRefused."""
        comments: list[str] = []
        while self.position < len(self.lines):
            number = self.position + 1
            first = self.lines[self.position].strip()
            self.position += 1
            if first.startswith("#"):
                comments.append(first.lstrip("#").strip())
                continue
            before, comments = tuple(comments), []
            if not first:
                continue
            text, has_empty_part = self._joined(first)
            last = self.position
            if text.strip():
                yield Line(
                    number=number,
                    text=text,
                    heredocs=self._heredocs(number, text),
                    last=last,
                    has_empty_part=has_empty_part,
                    comments=before,
                )

    def _joined(self, first: str) -> tuple[str, bool]:
        part, goes_on = self._without_escape(first)
        parts, has_empty_part = [part], False
        while goes_on and self.position < len(self.lines):
            following = self.lines[self.position]
            self.position += 1
            if not following.strip():
                has_empty_part = True
                continue
            if following.lstrip().startswith("#"):
                continue
            part, goes_on = self._without_escape(following)
            parts.append(part)
        return "".join(parts).strip(), has_empty_part

    def _without_escape(self, text: str) -> tuple[str, bool]:
        """A line without the character that continues it. An escaped one continues nothing."""
        bare = text.rstrip(" \t")
        if not bare.endswith(self.escape) or bare.endswith(self.escape * 2):
            return text, False
        return bare[:-1], True

    def _heredocs(self, number: int, text: str) -> tuple[Heredoc, ...]:
        word, _blank, rest = text.partition(" ")
        if word.upper() == "ONBUILD":
            word = rest.lstrip().partition(" ")[0]
        if word.upper() not in _WITH_HEREDOCS or "<<" not in text:
            return ()
        return tuple(
            self._heredoc(number, mark) for mark in words.heredoc_marks(text, self.escape)
        )

    def _heredoc(self, number: int, mark: words.HeredocMark) -> Heredoc:
        begin = self.position
        while self.position < len(self.lines):
            line = self.lines[self.position]
            self.position += 1
            if (line.lstrip("\t") if mark.strips_tabs else line) == mark.name:
                content = "".join(f"{each}\n" for each in self.lines[begin : self.position - 1])
                return Heredoc(
                    name=mark.name,
                    content=content,
                    expands=mark.expands,
                    strips_tabs=mark.strips_tabs,
                )
        raise DockerfileRefused(number, "unterminated heredoc")


def read_text(content: bytes) -> Text:
    """A Dockerfile, with its parser directives taken in. Raises: DockerfileRefused."""
    if len(content) > LARGEST_FILE:
        raise DockerfileRefused(0, f"the Dockerfile is larger than {LARGEST_FILE} bytes")
    raw = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(raw, 1):
        if len(line) > LONGEST_LINE:
            problem = f"dockerfile line greater than maximum allowed size of {LONGEST_LINE}"
            raise DockerfileRefused(number, problem)
        if b"\0" in line:
            raise DockerfileRefused(number, "the line contains a NUL byte")
    # Bytes that are no UTF-8 go through as they are: file names may be made of them.
    text = Text([line.removesuffix(b"\r").decode(errors="surrogateescape") for line in raw])
    for number, written in enumerate(text.lines, 1):
        match = _DIRECTIVE.fullmatch(written.strip())
        if match is None or match.group(1).lower() not in _DIRECTIVES:
            break
        _take_directive(text, number, match.group(1).lower(), match.group(2))
    return text


def _take_directive(text: Text, number: int, name: str, value: str) -> None:
    if name in text.directives:
        raise DockerfileRefused(number, f"only one {name} parser directive can be used")
    text.directives[name] = value
    if name == "escape":
        if value not in ("\\", "`"):
            problem = f"invalid escape token '{value}' does not match ` or \\"
            raise DockerfileRefused(number, problem)
        text.escape = value
