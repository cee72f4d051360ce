"""Small shapes of text that lists share."""

from wherry.kit.random_ids import short_id as short_id

_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f",
    "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
}  # fmt: skip


def ellipsis(text: str, width: int) -> str:
    """The text cut to a number of columns, the last of which then says that there is more."""
    return text if len(text) <= width else text[: width - 1] + "…"


def quoted(text: str) -> str:
    """A Go string literal in double quotes."""
    return '"' + "".join(_ESCAPES.get(each) or _printable(each) for each in text) + '"'


def _printable(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
