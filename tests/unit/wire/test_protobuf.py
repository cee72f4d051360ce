"""Messages by numbers: what goes out comes back, and what is no message is refused."""

from contextlib import suppress
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.wire.buildkit.control import StatusResponse, Vertex
from wherry.wire.buildkit.files import DATA, Packet, Stat
from wherry.wire.protobuf import MalformedMessage, Message, Timestamp, decode, encode, timestamp


class Kinds(Message):
    """One field of each kind."""

    text: Annotated[str, 1] = ""
    raw: Annotated[bytes, 2] = b""
    number: Annotated[int, 3] = 0
    claim: Annotated[bool, 4] = False
    numbers: Annotated[list[int], 5] = []
    texts: Annotated[dict[str, str], 6] = {}
    inner: Annotated[Timestamp | None, 7] = None


def test_bytes_are_those_of_the_specification() -> None:
    """The examples of the encoding's own documentation."""
    assert encode(Kinds(number=150)) == b"\x18\x96\x01"
    assert encode(Kinds(text="testing")) == b"\x0a\x07testing"
    assert encode(Kinds(number=-2)) == b"\x18\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"


@given(
    st.builds(
        Kinds,
        text=st.text(),
        raw=st.binary(),
        number=st.integers(-(1 << 63), (1 << 63) - 1),
        claim=st.booleans(),
        numbers=st.lists(st.integers(-(1 << 63), (1 << 63) - 1)),
        texts=st.dictionaries(st.text(), st.text()),
        inner=st.none() | st.builds(Timestamp, seconds=st.integers(0, 1 << 40)),
    )
)
def test_what_goes_out_comes_back(message: Kinds) -> None:
    """Of every kind of field, whatever its value."""
    assert decode(Kinds, encode(message)) == message


def test_numbers_may_come_packed() -> None:
    """Many numbers under one tag are as good as a tag for each."""
    assert decode(Kinds, b"\x2a\x03\x01\x96\x01").numbers == [1, 150]


def test_what_is_unknown_is_skipped() -> None:
    """A newer sender has more fields, of every wire type."""
    unknown = b"\xa0\x06\x01" + b"\xa1\x06" + bytes(8) + b"\xa5\x06" + bytes(4) + b"\xa2\x06\x01x"
    assert decode(Kinds, unknown + encode(Kinds(text="a"))) == Kinds(text="a")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    """Nothing but `MalformedMessage` comes of bytes that are none."""
    for kind in (Kinds, StatusResponse, Packet):
        with suppress(MalformedMessage):
            decode(kind, data)


@pytest.mark.parametrize(
    "data",
    [b"\x0a\x05ab", b"\x18", b"\x18" + b"\xff" * 11, b"\x0b", b"\x08\x01", b"\x32\x02\x0a\x05"],
    ids=["too long", "no value", "endless number", "group", "wrong kind", "broken entry"],
)
def test_broken_messages_are_refused(data: bytes) -> None:
    """A length beyond the end, a number without end, a wire type that is none."""
    with pytest.raises(MalformedMessage):
        decode(Kinds, data)


def test_names_that_are_no_text_survive() -> None:
    """File names are bytes; those that are not UTF-8 come back as they were."""
    sent = Packet(stat=Stat(path="a\udcff", mode=0o644))
    assert b"a\xff" in encode(sent)
    assert decode(Packet, encode(sent)) == sent


def test_moments_are_seconds_and_nanoseconds() -> None:
    """As google.protobuf.Timestamp has them."""
    assert timestamp(1_500_000_000) == Timestamp(seconds=1, nanos=500_000_000)
    vertex = Vertex(digest="sha256:0", started=timestamp(1))
    assert decode(Vertex, encode(vertex)) == vertex
    assert decode(Packet, encode(Packet(type=DATA, ID=7))) == Packet(type=DATA, ID=7)
