"""Docker's json-file lines, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.logs.json_lines import LARGEST_PIECE, Line, LineEncoder, decode_line, escape

AT = 1_700_000_000_120_000_000
TIME = "2023-11-14T22:13:20.12Z"


def record(text: str, stream: str = "stdout") -> bytes:
    return f'{{"log":"{text}","stream":"{stream}","time":"{TIME}"}}\n'.encode()


def test_a_plain_line_is_one_record() -> None:
    """Member order, escaped newline, and Go's time stamp without trailing zeros."""
    assert LineEncoder(1).encode(b"hello\n", AT) == record("hello\\n")


def test_stderr_and_attributes_are_said() -> None:
    """The stream's name, and the attributes between it and the time."""
    encoder = LineEncoder(2, {"tag": 'a"b'})
    assert encoder.encode(b"x\n", AT) == (
        f'{{"log":"x\\n","stream":"stderr","attrs":{{"tag":"a\\"b"}},"time":"{TIME}"}}\n'.encode()
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b'say "hi" \\ done', '"say \\"hi\\" \\\\ done"'[1:-1]),
        (b"<a href='x'>&", "\\u003ca href='x'\\u003e\\u0026"),
        (b"tab\there\rback\x00\x1b[0m\x7f", "tab\\u0009here\\rback\\u0000\\u001b[0m\x7f"),
        ("é 漢 🚢".encode(), "é 漢 🚢"),
        (b"\xff\xfe", "\\ufffd\\ufffd"),
        (b"cut \xe2\x82 short", "cut \\ufffd\\ufffd short"),
        (b"surrogate \xed\xa0\x80", "surrogate \\ufffd\\ufffd\\ufffd"),
        ("real \ufffd stays".encode(), "real \ufffd stays"),
        ("sep \u2028 \u2029 end".encode(), "sep \\u2028 \\u2029 end"),
        (b'\xff"\\<\xe2\x80\xa8', '\\ufffd\\"\\\\\\u003c\\u2028'),
    ],
)
def test_escapes_are_those_of_go(written: bytes, text: str) -> None:
    """Each class of special byte has the escape that Docker's encoder gives it."""
    assert escape(written) == text.encode()


def test_many_lines_share_one_write() -> None:
    """A block of lines becomes as many records, in order."""
    encoder = LineEncoder(1)
    assert encoder.encode(b"one\ntwo\n\nthree", AT) == (
        record("one\\n") + record("two\\n") + record("\\n")
    )
    assert encoder.encode(b" goes on\n", AT) == record("three goes on\\n")


def test_the_end_without_newline_is_kept() -> None:
    """What came after the last newline is a record without one."""
    encoder = LineEncoder(1)
    assert encoder.encode(b"prompt$ ", AT) == b""
    assert encoder.finish(AT) == record("prompt$ ")
    assert encoder.finish(AT) == b""


@pytest.mark.parametrize("read_size", [1000, 16384, 65536])
def test_long_lines_are_cut_at_sixteen_kibibytes(read_size: int) -> None:
    """A long line is kept in pieces of 16 KiB without newline, whatever the reads were."""
    written = b"short\n" + b"x" * (2 * LARGEST_PIECE + 7) + b"\nshort\n"
    encoder = LineEncoder(1)
    records = b"".join(
        encoder.encode(written[start : start + read_size], AT)
        for start in range(0, len(written), read_size)
    )
    lengths = [len(json.loads(each)["log"]) for each in records.splitlines()]
    assert lengths == [6, LARGEST_PIECE, LARGEST_PIECE, 8, 6]


def test_a_cut_does_not_split_a_character() -> None:
    """A piece ends up to three bytes early rather than inside a character."""
    written = b"x" * (LARGEST_PIECE - 1) + "é".encode() * 10 + b"\n"
    encoder = LineEncoder(1)
    logs = [json.loads(each)["log"] for each in encoder.encode(written, AT).splitlines()]
    assert [len(each) for each in logs] == [LARGEST_PIECE - 1, 11]
    assert "\ufffd" not in "".join(logs)


@given(st.binary(max_size=200), st.lists(st.integers(1, 30), max_size=8))
def test_reads_of_any_size_give_the_same_text(written: bytes, sizes: list[int]) -> None:
    """However output is cut into reads, the records say the same."""
    whole, parts = LineEncoder(1), LineEncoder(1)
    expected = whole.encode(written, AT) + whole.finish(AT)
    got, position = b"", 0
    for size in sizes:
        got += parts.encode(written[position : position + size], AT)
        position += size
    got += parts.encode(written[position:], AT) + parts.finish(AT)
    assert got == expected


@given(st.text(max_size=100).filter(lambda text: text.isprintable()))
def test_what_was_written_is_read_again(text: str) -> None:
    """Decoding gives the line back."""
    written = f"{text}\n".encode()
    encoded = LineEncoder(2).encode(written, AT)
    assert decode_line(encoded) == Line(stream=2, at_ns=AT, content=written)


@pytest.mark.parametrize(
    "torn",
    [
        b"", b"{", b'{"log":"x', b"[]", b"null", b"\xff\xfe",
        b'{"log":1,"stream":"stdout","time":"2023-11-14T22:13:20Z"}',
        b'{"log":"x","stream":"nowhere","time":"2023-11-14T22:13:20Z"}',
        b'{"log":"x","stream":"stdout","time":"yesterday"}',
        b'{"log":"x","stream":["stdout"],"time":"2023-11-14T22:13:20Z"}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_record_is_no_line(torn: bytes) -> None:
    """Torn or foreign records are passed over, never raised."""
    assert decode_line(torn) is None
