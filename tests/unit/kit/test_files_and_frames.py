"""Atomic files, multiplexed streams, and control messages with descriptors."""

import os
import resource
import signal
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.kit import messages
from wherry.kit.atomic_files import read_bounded, write_atomically, write_durably
from wherry.kit.random_ids import new_id, short_id
from wherry.kit.streams import STDERR, STDOUT, Unframer, frame


@pytest.mark.parametrize("write", [write_atomically, write_durably])
def test_a_file_is_replaced_whole(tmp_path: Path, write: object) -> None:
    """The new content is there, the staged name is not, and the mode is private."""
    assert callable(write)
    target = tmp_path / "state"
    target.write_bytes(b"old")
    write(str(target), b"new")
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["state"]
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("write", [write_atomically, write_durably])
def test_a_failed_write_leaves_nothing(tmp_path: Path, write: object) -> None:
    """A disk that takes no more: the old content stays, and nothing lies beside it."""
    assert callable(write)
    target = tmp_path / "state"
    target.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(str(target), bytes(8192))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_reading_is_bounded(tmp_path: Path) -> None:
    """A file over the limit is an error, not memory."""
    target = tmp_path / "big"
    target.write_bytes(b"x" * 11)
    assert len(read_bounded(str(target), limit_bytes=11)) == 11
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_bounded(str(target), limit_bytes=10)


@given(
    st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=50)), max_size=8),
    st.integers(min_value=1, max_value=17),
)
def test_frames_survive_any_cut(chunks: list[tuple[int, bytes]], step: int) -> None:
    """Chunks come out as they went in, whatever the sizes of the reads."""
    wire = b"".join(frame(stream, payload) for stream, payload in chunks)
    unframer = Unframer()
    seen = []
    for start in range(0, len(wire), step):
        seen += list(unframer.feed(wire[start : start + step]))
    assert seen == chunks


def test_messages_carry_descriptors() -> None:
    """A message and its descriptor arrive together; the end of the peer is None."""
    one, other = messages.channel_pair()
    reading, writing = os.pipe()
    messages.send(one, {"op": "hello", "text": "é"}, (writing,))
    os.close(writing)
    received = messages.receive(other)
    assert received is not None
    message, descriptors = received
    assert message == {"op": "hello", "text": "é"}
    os.write(descriptors[0], b"x")
    assert os.read(reading, 1) == b"x"
    assert not os.get_inheritable(descriptors[0])
    one.close()
    assert messages.receive(other) is None
    for descriptor in (reading, *descriptors):
        os.close(descriptor)
    other.close()


@pytest.mark.parametrize(
    ("packet", "refusal"),
    [
        (bytes((messages.VERSION + 1,)) + b"{}", messages.UnknownVersion),
        (bytes((messages.VERSION,)) + b"[]", ValueError),
        (bytes((messages.VERSION,)) + b'{"op":', ValueError),
    ],
    ids=["newer", "no object", "no JSON"],
)
def test_what_is_no_message_is_refused(packet: bytes, refusal: type[Exception]) -> None:
    """It is not guessed at, and the descriptors that came with it are closed."""
    one, other = messages.channel_pair()
    reading, writing = os.pipe()
    with one, other:
        socket.send_fds(one, [packet], [writing])
        os.close(writing)
        with pytest.raises(refusal):
            messages.receive(other)
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_ids() -> None:
    """64 hexadecimal digits, whose short form is never a number."""
    identifier = new_id()
    assert len(identifier) == 64
    assert not short_id(identifier).isdigit()
    assert short_id("sha256:" + identifier) == identifier[:12]
