"""Blobs by digest."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from wherry.content import ContentStore
from wherry.model.errors import StateUnreadable
from wherry.model.errors.images import DigestMismatch
from wherry.model.ids import Digest


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    """An empty store."""
    return ContentStore(str(tmp_path / "content"))


def digest_of(data: bytes) -> Digest:
    """The name that some bytes must get."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def staged_files(tmp_path: Path) -> list[str]:
    """What is under way."""
    return os.listdir(tmp_path / "content" / "ingest")


def test_a_blob_is_named_by_its_bytes(content: ContentStore, tmp_path: Path) -> None:
    """Written in pieces, it is found whole under its digest, and is private."""
    with content.ingest() as writer:
        writer.write(b"hello ")
        writer.write(b"world")
        staged = writer.finish()
    digest = content.commit(staged, expected=digest_of(b"hello world"))
    with content.open(digest) as file:
        assert file.read() == b"hello world"
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    assert content.size(digest) == 11
    assert content.has(digest)
    assert staged_files(tmp_path) == []


def test_the_same_bytes_twice_are_one_blob(content: ContentStore, tmp_path: Path) -> None:
    """A second commit is no error and leaves nothing."""
    first, second = content.stage(b"x"), content.stage(b"x")
    assert content.commit(first) == content.commit(second)
    assert list(content.digests()) == [digest_of(b"x")]
    assert staged_files(tmp_path) == []


def test_other_bytes_than_promised_are_refused(content: ContentStore, tmp_path: Path) -> None:
    """What isn't what its digest says never gets a name."""
    with pytest.raises(DigestMismatch):
        content.commit(content.stage(b"x"), expected=digest_of(b"y"))
    assert list(content.digests()) == []
    assert staged_files(tmp_path) == []


def test_an_ingest_that_is_given_up_leaves_nothing(content: ContentStore, tmp_path: Path) -> None:
    """Leaving the block without finishing throws the bytes away."""
    with content.ingest() as writer:
        writer.write(b"half")
    assert staged_files(tmp_path) == []


def test_blobs_are_synced_before_they_have_a_name(
    content: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk refuses, the blob isn't there."""

    def refuse(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    staged = content.stage(b"x")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        content.commit(staged)
    assert list(content.digests()) == []


def test_collect_keeps_what_roots_name(content: ContentStore) -> None:
    """Mark and sweep: only what nobody names goes."""
    kept, lost = (content.commit(content.stage(each)) for each in (b"kept", b"lost"))
    assert content.collect({kept}) == (lost,)
    assert list(content.digests()) == [kept]


def test_sweep_empties_what_was_under_way(content: ContentStore, tmp_path: Path) -> None:
    """After a crash staged blobs are rubbish."""
    content.stage(b"x")
    content.sweep()
    assert staged_files(tmp_path) == []


def test_damaged_and_missing_blobs_are_named(content: ContentStore, tmp_path: Path) -> None:
    """A small blob is verified when read, and goes if it is damaged; a missing one says so."""
    digest = content.commit(content.stage(b"x" * 100))
    path = tmp_path / "content" / "blobs" / "sha256" / digest.removeprefix("sha256:")
    with pytest.raises(StateUnreadable, match="larger"):
        content.read(digest, limit_bytes=99)
    path.write_bytes(b"y" * 100)
    with pytest.raises(StateUnreadable, match="another digest"):
        content.read(digest, limit_bytes=100)
    assert not path.exists(), "nobody can want it"
    for reading in (content.open, content.size):
        with pytest.raises(StateUnreadable, match="missing"):
            reading(digest)


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../x", "sha512:" + "a" * 64, "a" * 64]
)
def test_digests_that_are_none_never_become_paths(content: ContentStore, digest: str) -> None:
    """A digest from a hostile document can't lead out of the store."""
    with pytest.raises(ValueError, match="not a sha256 digest"):
        content.has(Digest(digest))
