"""The protocols of receivers, without receivers."""

import random

import msgspec
import pytest

from support.receivers import gelf_documents
from wherry.logs.json_lines import STDERR, STDOUT, Line
from wherry.logs.receivers.fluentd import EventTime, pack
from wherry.logs.receivers.gelf import chunks
from wherry.logs.receivers.journald import field_name
from wherry.logs.receivers.messages import Pieces


@pytest.mark.parametrize(
    "value",
    [
        0,
        127,
        128,
        2**32 - 1,
        "",
        "x" * 31,
        "x" * 32,
        "x" * 256,
        "ü" * 40000,
        [],
        list(range(15)),
        list(range(16)),
        {"a": "b", "c": ["d", {"e": 1}]},
        {str(number): number for number in range(70000)},
    ],
)
def test_message_pack(value: object) -> None:
    """A decoder that is not ours reads the same."""
    assert msgspec.msgpack.decode(pack(value)) == value


def test_event_times() -> None:
    """Extension type 0: seconds and nanoseconds, four bytes each."""
    assert pack(EventTime(5_000_000_007)) == b"\xd7\x00" + bytes((0, 0, 0, 5, 0, 0, 0, 7))


def test_what_is_not_packed() -> None:
    """Nothing is left out silently."""
    with pytest.raises(TypeError):
        pack(1.5)


@pytest.mark.parametrize(("size", "count"), [(10, 1), (1420, 1), (1421, 2), (1408 * 128, 128)])
def test_chunks(size: int, count: int) -> None:
    """As many as it takes, each within the limit; in any order they are the document again."""
    document = b'{"a":"' + b"x" * (size - 8) + b'"}'
    packets = list(chunks(document))
    assert len(packets) == count
    assert max(len(each) for each in packets) <= 1420
    random.Random(1).shuffle(packets)
    assert len(gelf_documents(packets)[0]["a"]) == size - 8


def test_a_document_that_is_too_large() -> None:
    """The protocol has no more than 128 chunks."""
    assert list(chunks(b"x" * (1408 * 128 + 1))) == []


def test_pieces_of_long_lines() -> None:
    """Pieces share a name and are counted, by stream; whole lines are left alone."""
    lines = [
        Line(STDOUT, 1, b"whole\n"),
        Line(STDOUT, 2, b"one"),
        Line(STDERR, 3, b"other\n"),
        Line(STDOUT, 4, b"two"),
        Line(STDOUT, 5, b"three\n"),
        Line(STDOUT, 6, b"next\n"),
    ]
    messages = list(Pieces().messages(lines))
    assert [each.text for each in messages] == ["whole", "one", "other", "two", "three", "next"]
    partials = [each.partial for each in messages]
    assert partials[0] is partials[2] is partials[5] is None
    pieces = [each for each in partials if each is not None]
    assert [(each.ordinal, each.is_last) for each in pieces] == [(1, False), (2, False), (3, True)]
    assert len({each.id for each in pieces}) == 1


def test_journal_fields() -> None:
    """Upper case letters, digits and underscores, which are not first."""
    assert field_name("com.example/team-1") == "COM_EXAMPLE_TEAM_1"
    assert field_name("__x") == "X"
