"""`.env` and `env_file`: one NAME=VALUE per line, in the dialect of Compose.

Values may stand in single quotes (as they are) or double quotes (with escapes and variables),
and then have several lines; without quotes they end at ` #`. A NAME alone takes the value that
the surroundings have, and is left out when they have none.
"""

import re
from collections.abc import Mapping

from wherry.compose.errors import ComposeError
from wherry.compose.variables import InvalidTemplate, substitute
from wherry.compose.yaml_source import MOST_BYTES

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([^\s=:#]+)[ \t]*([=:]?)[ \t]*")
_NAME = re.compile(r"[A-Za-z0-9_.\-\[\]]+")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
            "\\": "\\", '"': '"', "$": "$$"}  # fmt: skip


def text_of(path: str) -> str:
    """A file's text, as far as it is read. Raises: OSError."""
    with open(path, "rb") as file:
        return file.read(MOST_BYTES).decode(errors="replace")


def read_env_file(
    text: str, path: str, surroundings: Mapping[str, str], *, is_raw: bool = False
) -> dict[str, str]:
    """The variables of one file. Raises: ComposeError with the line."""
    result: dict[str, str] = {}
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    at, line = 0, 1
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        stripped = text[at:end].strip()
        if not stripped or stripped.startswith("#"):
            at, line = end + 1, line + 1
            continue
        found = _LINE.match(text, at, end)
        if found is None or not _NAME.fullmatch(found[1]):
            name = stripped.partition("=")[0]
            raise ComposeError(
                f"failed to read {path}: line {line}: unexpected character in variable name "
                f'"{name}"'
            )
        name = found[1]
        if not found[2]:
            if found.end() < end and text[found.end()] != "#":
                raise ComposeError(
                    f"failed to read {path}: line {line}: key cannot contain a space"
                )
            if name in surroundings:
                result[name] = surroundings[name]
            at, line = end + 1, line + 1
            continue
        if is_raw:
            result[name] = text[found.end() : end]
            at, line = end + 1, line + 1
            continue
        value, at = _value(text, found.end(), end, path, line, {**result, **surroundings})
        line += text.count("\n", end, at) + 1 if at > end else 1
        result[name] = value
        at += 1
    return result


def _value(
    text: str, at: int, end: int, path: str, line: int, known: Mapping[str, str]
) -> tuple[str, int]:
    """The value that begins at a place, and where its line ends."""
    quote = text[at : at + 1]
    if quote not in ("'", '"') or at >= end:
        plain = text[at:end]
        comment = re.search(r"(^|\s)#", plain)
        if comment:
            plain = plain[: comment.start()]
        return _expanded(plain.strip(), known, path, line), end
    close = at + 1
    while close < len(text) and text[close] != quote:
        close += 2 if text[close] == "\\" else 1
    if close >= len(text):
        raise ComposeError(
            f"failed to read {path}: line {line}: unterminated quoted value {text[at:end]}"
        )
    inner = text[at + 1 : close]
    after = text.find("\n", close)
    after = len(text) if after < 0 else after
    if quote == "'":
        return inner.replace("\\'", "'"), after
    unescaped = re.sub(
        r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), inner, flags=re.DOTALL
    )
    return _expanded(unescaped, known, path, line), after


def _expanded(text: str, known: Mapping[str, str], path: str, line: int) -> str:
    try:
        return substitute(text, known.get, on_unset=lambda _name: None)
    except InvalidTemplate:
        raise ComposeError(
            f'failed to read {path}: line {line}: invalid template: "{text}"'
        ) from None
