"""The keys that leave a terminal."""

import pytest

from wherry.api.detach_keys import DEFAULT, DetachScanner, parse_detach_keys
from wherry.model.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a", b"\x01"),
        ("a,b", b"ab"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
    ],
)
def test_keys(text: str, codes: bytes) -> None:
    """Single characters and control keys."""
    assert parse_detach_keys(text) == codes


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "a,", "ctrl-P", "é", ","])
def test_bad_keys(text: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(InvalidValue) as refusal:
        parse_detach_keys(text)
    assert refusal.value.sentence == f"Invalid detach keys ({text}) provided"


@pytest.mark.parametrize(
    ("reads", "meant"),
    [
        ([b"abc\x10\x11def"], [b"abc"]),
        ([b"a\x10", b"\x11"], [b"a", b""]),
        ([b"\x10", b"\x10", b"\x11"], [b"", b"\x10", b""]),
    ],
)
def test_keys_are_seen_whatever_the_reads(reads: list[bytes], meant: list[bytes]) -> None:
    """The keys never reach the container, what is before them does."""
    scanner = DetachScanner(DEFAULT)
    assert [scanner.feed(data) for data in reads] == meant
    assert scanner.has_seen_keys


def test_a_false_beginning_is_passed_on() -> None:
    """ctrl-p followed by something else was meant for the container."""
    scanner = DetachScanner(DEFAULT)
    assert scanner.feed(b"\x10") == b""
    assert scanner.feed(b"x") == b"\x10x"
    assert not scanner.has_seen_keys


def test_what_is_held_is_given_at_the_end() -> None:
    """A lone ctrl-p at the end of the input is input."""
    scanner = DetachScanner(DEFAULT)
    scanner.feed(b"ab\x10")
    assert scanner.flush() == b"\x10"
