"""Patterns of paths, as Go's filepath.Match and `.dockerignore` have them.

A pattern is matched against a whole path, segment by segment; `**` stands for any number of
segments. The last pattern that matches decides, and `!` makes it an exception. Matching walks
the pattern and the path as an automaton of positions, so its cost is the product of the two
lengths at most, whatever stars the pattern has (no backtracking).
"""

import posixpath
import re
from collections.abc import Sequence

from wherry.kit.values import dataclass

MOST_PATTERNS = 10_000
LONGEST_PATTERN = 4096

_CLASS_SPECIAL = re.compile(r"([\[\]^&~|])")
_ESCAPED = r"\\\1"


class BadPattern(ValueError):
    """The text is no pattern."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line: segments, each compiled; None for `**`."""

    segments: tuple["re.Pattern[str] | str | None", ...]
    is_exception: bool


class Ignore:
    """The patterns of one file."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises: BadPattern for a pattern that is none."""
        if len(patterns) > MOST_PATTERNS:
            raise BadPattern(f"more than {MOST_PATTERNS} patterns to ignore files by")
        self._patterns = tuple(_compiled(each) for each in patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def excludes(self, path: str) -> bool:
        """Whether a file is left out: it, or a directory above it, is ignored."""
        segments = path.split("/")
        is_ignored = False
        for pattern in self._patterns:
            if pattern.is_exception == is_ignored and _matches(pattern.segments, segments):
                is_ignored = not pattern.is_exception
        return is_ignored

    def prunes(self, directory: str) -> bool:
        """Whether a directory is left out, and no exception can be about anything below it."""
        segments = directory.split("/")
        return self.excludes(directory) and not any(
            each.is_exception and _may_match_below(each.segments, segments)
            for each in self._patterns
        )


def read_ignore(content: bytes) -> tuple[str, ...]:
    """The patterns of a `.dockerignore`."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        if not pattern:
            continue
        is_exception = pattern.startswith("!")
        path = pattern.removeprefix("!").strip()
        if path:
            path = posixpath.normpath(path)
            path = path.lstrip("/") if len(path) > 1 else path
        found.append(f"!{path}" if is_exception else path)
    return tuple(found)


def _compiled(text: str) -> Pattern:
    is_exception = text.startswith("!")
    bare = text.removeprefix("!").strip("/")
    if len(bare) > LONGEST_PATTERN:
        raise BadPattern(f"a pattern to ignore files by is longer than {LONGEST_PATTERN}")
    if not bare and is_exception:
        raise BadPattern('illegal exclusion pattern: "!"')
    segments: list[re.Pattern[str] | str | None] = []
    for each in bare.split("/"):
        compiled = None if each == "**" else segment_pattern(each)
        if compiled is None and segments and segments[-1] is None:
            continue
        segments.append(compiled)
    return Pattern(tuple(segments), is_exception)


def segment_pattern(text: str) -> "re.Pattern[str] | str":
    """One path segment with Go's wildcards; the text itself where there is none.

    Raises: BadPattern.
    """
    if not any(each in text for each in "*?[\\"):
        return text
    import re2  # linear, whatever the pattern; seldom wanted

    pieces = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "*":
            pieces.append("[^/]*")
            while text[position + 1 : position + 2] == "*":
                position += 1
        elif character == "?":
            pieces.append("[^/]")
        elif character == "[":
            end = text.find("]", position + 2)
            if end < 0:
                raise BadPattern(f'syntax error in pattern "{text}"')
            inside = text[position + 1 : end]
            negation = "^" if inside[:1] in ("^", "!") else ""
            inside = inside[1:] if negation else inside
            pieces.append(f"[{negation}{_CLASS_SPECIAL.sub(_ESCAPED, inside)}]")
            position = end
        elif character == "\\" and position + 1 < len(text):
            position += 1
            pieces.append(re.escape(text[position]))
        else:
            pieces.append(re.escape(character))
        position += 1
    try:
        compiled: re.Pattern[str] = re2.compile("(?s)" + "".join(pieces))
    except (re2.error, UnicodeEncodeError):
        raise BadPattern(f'syntax error in pattern "{text}"') from None
    return compiled


def _matches(pattern: Sequence["re.Pattern[str] | str | None"], segments: Sequence[str]) -> bool:
    """Whether a pattern fits the beginning of a path: what is below an ignored directory too."""
    end = len(pattern)
    places = _closed({0}, pattern)
    for segment in segments:
        following = set()
        for place in places:
            part = pattern[place]
            if part is None:
                # At the end it stands for one segment at least: `a/**` is not `a` itself.
                following.add(place if place < end - 1 else end)
            elif part == segment if isinstance(part, str) else part.fullmatch(segment):
                following.add(place + 1)
        if end in following:
            return True
        places = _closed(following, pattern)
        if not places:
            return False
    return False


def _closed(places: set[int], pattern: Sequence["re.Pattern[str] | str | None"]) -> set[int]:
    """Places, and those behind each inner `**`, which may stand for nothing."""
    for place in sorted(places):
        while place < len(pattern) - 1 and pattern[place] is None:
            place += 1
            places.add(place)
    return places


def _may_match_below(
    pattern: Sequence["re.Pattern[str] | str | None"], segments: Sequence[str]
) -> bool:
    """Whether a pattern may fit something below a directory."""
    for part, segment in zip(pattern, segments, strict=False):
        if part is None:
            return True
        if not (part == segment if isinstance(part, str) else part.fullmatch(segment)):
            return False
    return True
