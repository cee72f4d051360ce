"""Tars written and read, without any file system."""

import contextlib
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.tar_archives import archive, member
from wherry.model.errors.images import ArchiveRefused
from wherry.snapshots import TAR_END, TarEntry, TarReader, decompressed, tar_header, tar_padding

names = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)
numbers = st.integers(0, (1 << 32) - 2)


@given(
    path=names, link=names, mode=st.integers(0, 0o7777), uid=numbers, gid=numbers,
    mtime=st.integers(-(1 << 31), (1 << 34) - 1), content=st.binary(max_size=2000),
    attribute=st.binary(max_size=50),
)  # fmt: skip
def test_what_is_written_is_read(
    path: bytes, link: bytes, mode: int, uid: int, gid: int, mtime: int, content: bytes,
    attribute: bytes,
) -> None:  # fmt: skip
    """Every name, number and attribute survives, in ustar or in pax as it needs."""
    written = TarEntry(
        b"0", path.rstrip(b"/") + b"x", link, mode, uid, gid, len(content),
        mtime * 1_000_000_000, 0, 0, {"user.a": attribute},
    )  # fmt: skip
    packed = tar_header(written) + content + tar_padding(len(content)) + TAR_END
    reader = TarReader(io.BytesIO(packed))
    entries = []
    for entry in reader:
        entries.append(entry)
        assert b"".join(iter(lambda: bytes(reader.read_content(700)), b"")) == content
    assert entries == [written]


class Trickle:
    """A stream that gives a few bytes at a time, as a slow network does."""

    def __init__(self, content: bytes, step: int) -> None:
        self._rest = content
        self._step = step

    def read(self, _size: int, /) -> bytes:
        """The next few bytes."""
        piece, self._rest = self._rest[: self._step], self._rest[self._step :]
        return piece


@pytest.mark.parametrize("step", [1, 7, 511, 512, 513, 100_000])
def test_the_size_of_reads_does_not_matter(step: int) -> None:
    """However the bytes are cut, the entries and their content are the same."""
    packed = archive(member("a", b"1" * 1000), member("b"), member("c", b"3" * 512))
    reader = TarReader(decompressed(Trickle(gzip.compress(packed), step))[1])
    found = []
    for entry in reader:
        content = b"".join(iter(lambda: bytes(reader.read_content()), b""))
        found.append((entry.path, content))
    assert found == [(b"a", b"1" * 1000), (b"b", b""), (b"c", b"3" * 512)]


def test_the_last_padding_may_be_missing() -> None:
    """An archive that ends with its last file's content is whole; one that ends before is not."""
    packed = archive(member("a", b"1" * 700), member("b", b"2" * 700))
    whole = packed[: packed.index(b"2" * 700) + 700]
    assert [entry.path for entry in TarReader(io.BytesIO(whole))] == [b"a", b"b"]
    with pytest.raises(ArchiveRefused):
        list(TarReader(io.BytesIO(whole[:-1])))


def test_content_that_nobody_reads_is_passed_over() -> None:
    """The next entry begins where it should."""
    packed = archive(member("a", b"x" * 5000), member("b", b"1"))
    assert [entry.path for entry in TarReader(io.BytesIO(packed))] == [b"a", b"b"]


@given(st.binary(max_size=3000), st.integers(0, 2047), st.integers(0, 255))
def test_damage_never_ends_in_a_crash(noise: bytes, position: int, value: int) -> None:
    """A flipped byte or plain noise is an archive or a refusal, nothing else."""
    damaged = bytearray(archive(member("a", b"1", pax={"path": b"long"}), member("b")))
    damaged[position % len(damaged)] = value
    for packed in (noise, bytes(damaged), bytes(damaged) + noise):
        with contextlib.suppress(ArchiveRefused):
            entries = list(TarReader(decompressed(io.BytesIO(packed))[1]))
            assert all(entry.size >= 0 for entry in entries)
