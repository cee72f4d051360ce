"""Lines of Docker's json-file format.

One record is `{"log":"text\\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}` and
a newline. The text is escaped as Docker's Go code does: `"`, `\\`, newline and carriage return
with a backslash, `<`, `>`, `&` and other control characters as `\\u00xx`, the separators U+2028
and U+2029 as `\\u202x`, and each byte that is not UTF-8 as `\\ufffd`.

Theory of operation. A container that writes much writes many short lines per read. They share
one time stamp here, so that a whole block of lines becomes records with one `bytes.replace` of
the newlines, and only the special characters that a block really has cost anything.
"""

import codecs
import json
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from wherry.kit.timestamps import parse_rfc3339, rfc3339_nano

STDOUT, STDERR = 1, 2
STREAM_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
_STREAM_NUMBERS = {"stdout": STDOUT, "stderr": STDERR}

LARGEST_PIECE = 16 * 1024
"""A longer line is kept in pieces of this size; all but the last have no newline."""

_PLAIN = bytes(
    each for each in range(256) if each == 0x0A or (0x20 <= each < 0x80 and each not in b'"\\<>&')
)
_ESCAPES = {
    **{each: b"\\u%04x" % each for each in (*range(0x20), *b"<>&") if each != 0x0A},
    ord("\r"): b"\\r",
    ord('"'): b'\\"',
    ord("\\"): b"\\\\",
}
_WRONG, _BACKSLASH = b"\xff", b"\xfe"
"""Bytes that no UTF-8 has; they stand for a wrong byte and for the backslash of an escape."""


_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})

_BEGINNING, _MIDDLE = b'{"log":"', b'","stream":"'
"""Of a record. The second can't be in its text, where a quote has a backslash before it."""


def _mark_each_byte(error: UnicodeError) -> tuple[str, int]:
    """Go replaces each wrong byte, Python each wrong sequence."""
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff" * (error.end - error.start), error.end


codecs.register_error("wherry.each-byte", _mark_each_byte)


class Line(NamedTuple):
    """One record of a log."""

    stream: int
    """1 stdout, 2 stderr."""
    at_ns: int
    content: bytes
    """With its newline, unless it is a piece of a long line or the end of the output."""
    attributes: Mapping[str, str] = _NO_ATTRIBUTES


class LineEncoder:
    """Makes records of what one stream of a container wrote."""

    def __init__(self, stream: int, attributes: Mapping[str, str] | None = None) -> None:
        self._carry = b""
        middle = f'","stream":"{STREAM_NAMES[stream]}",'
        if attributes:
            middle += f'"attrs":{json.dumps(dict(attributes), separators=(",", ":"))},'
        self._middle = middle.encode()

    @property
    def unfinished(self) -> bytes:
        """The beginning of a line whose end has not been written yet."""
        return self._carry

    def resume(self, unfinished: bytes) -> None:
        """Go on where another encoder of the same stream stopped."""
        self._carry = unfinished

    def encode(self, data: bytes, at_ns: int) -> bytes:
        """The records that are complete with this data; an unfinished line waits."""
        block = self._carry + data if self._carry else data
        end = block.rfind(b"\n") + 1
        lines, self._carry = block[:end], block[end:]
        records = self._records(lines, at_ns) if lines else b""
        while len(self._carry) >= LARGEST_PIECE:
            cut = _cut_before(self._carry, LARGEST_PIECE)
            records += self._piece(self._carry[:cut], at_ns)
            self._carry = self._carry[cut:]
        return records

    def finish(self, at_ns: int) -> bytes:
        """The record of what came after the last newline, at the end of the output."""
        rest, self._carry = self._carry, b""
        return self._piece(rest, at_ns) if rest else b""

    def _records(self, lines: bytes, at_ns: int) -> bytes:
        """Records of whole lines, of which long ones are cut into pieces."""
        position, begun, records = 0, 0, b""
        while len(lines) - position > LARGEST_PIECE:
            newline = lines.rfind(b"\n", position, position + LARGEST_PIECE)
            if newline >= 0:
                position = newline + 1
                continue
            cut = _cut_before(lines, position + LARGEST_PIECE, position)
            records += self._whole_lines(lines[begun:position], at_ns)
            records += self._piece(lines[position:cut], at_ns)
            position = begun = cut
        return records + self._whole_lines(lines[begun:], at_ns)

    def _whole_lines(self, lines: bytes, at_ns: int) -> bytes:
        if not lines:
            return b""
        tail = self._tail(at_ns)
        escaped = escape(lines)
        return b'{"log":"' + escaped.replace(b"\n", b"\\n" + tail + b'{"log":"')[:-8]

    def _piece(self, piece: bytes, at_ns: int) -> bytes:
        return b'{"log":"' + escape(piece) + self._tail(at_ns)

    def _tail(self, at_ns: int) -> bytes:
        return self._middle + f'"time":"{rfc3339_nano(at_ns)}"}}\n'.encode()


def escape(text: bytes) -> bytes:
    """The inside of Go's JSON string for these bytes, with newlines left as they are."""
    special = text.translate(None, _PLAIN)
    if not special:
        return text
    if not special.isascii():
        text = _with_valid_utf8(text)
    present = set(special)
    if 0x5C in present:
        text = text.replace(b"\\", b"\\\\")
    for each in present:
        if each != 0x5C and each in _ESCAPES:
            text = text.replace(bytes((each,)), _ESCAPES[each])
    if not special.isascii():
        text = text.replace(_WRONG, b"\\ufffd").replace(_BACKSLASH, b"\\")
    return text


def decode_line(record: bytes) -> Line | None:
    """The line of a record; None for what is torn or is no record.

    Most records have nothing to unescape but the newline at their end, and the same stream and
    time as the one before: those are read without a parser.
    """
    middle = record.rfind(_MIDDLE)
    if middle > 0 and record.startswith(_BEGINNING):
        ending = _read_ending(record[middle + 2 :])
        if ending is not None:
            text = record[len(_BEGINNING) : middle]
            if b"\\" not in text:
                return Line(ending[0], ending[1], text)
            if text.endswith(b"\\n") and b"\\" not in text[:-2]:
                return Line(ending[0], ending[1], text[:-2] + b"\n")
    return _parse_line(record)


@lru_cache(maxsize=256)
def _read_ending(ending: bytes) -> tuple[int, int] | None:
    """Stream and time of what follows a record's text; None for more or less than these."""
    try:
        members = json.loads(b"{" + ending)
        if members.keys() != {"stream", "time"}:
            return None
        return _STREAM_NUMBERS[members["stream"]], parse_rfc3339(members["time"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _parse_line(record: bytes) -> Line | None:
    try:
        members = json.loads(record)
        return Line(
            stream=_STREAM_NUMBERS[members["stream"]],
            at_ns=parse_rfc3339(members["time"]),
            content=members["log"].encode("utf-8", "replace"),
            attributes=members.get("attrs", _NO_ATTRIBUTES),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _with_valid_utf8(text: bytes) -> bytes:
    """UTF-8 with stand-ins, so that the backslashes of these escapes aren't escaped again."""
    decoded = text.decode("utf-8", "wherry.each-byte")
    valid = decoded.encode("utf-8", "surrogateescape")
    return valid.replace(b"\xe2\x80\xa8", _BACKSLASH + b"u2028").replace(
        b"\xe2\x80\xa9", _BACKSLASH + b"u2029"
    )


def _cut_before(text: bytes, limit: int, start: int = 0) -> int:
    """The limit, or up to three bytes before it where it would split a character of UTF-8."""
    for back in range(1, min(3, limit - start) + 1):
        byte = text[limit - back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return limit if length <= back else limit - back
    return limit
