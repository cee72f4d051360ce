"""The detach sequence is found wherever the reads cut it, and nothing else is lost."""

import pytest

from wherry.cli.containers.detach_keys import DEFAULT, DetachFilter, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", DEFAULT), ("ctrl-p,ctrl-q", b"\x10\x11"), ("ctrl-a,x", b"\x01x"), ("ctrl-@", b"\0"),
     ("a", b"a"), ("ctrl-\\,ctrl-_", b"\x1c\x1f")],
)  # fmt: skip
def test_sequences(text: str, keys: bytes) -> None:
    """Letters, and what control makes of them."""
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-ab", "foo", "ctrl-A", "a,,b", "ü"])
def test_bad_sequences(text: str) -> None:
    """What is no key is refused."""
    with pytest.raises(ValueError, match="Unknown character"):
        parse_keys(text)


def test_found_across_reads() -> None:
    """The first key is held back until the second decides."""
    keys = DetachFilter(DEFAULT)
    assert keys.feed(b"ab\x10") == (b"ab", False)
    assert keys.feed(b"\x11") == (b"", True)


def test_false_starts_are_sent() -> None:
    """A first key that is not followed by the second belongs to the program."""
    keys = DetachFilter(DEFAULT)
    assert keys.feed(b"\x10x") == (b"\x10x", False)
    assert keys.feed(b"\x10\x10") == (b"\x10", False)
    assert keys.feed(b"\x11rest") == (b"", True)
