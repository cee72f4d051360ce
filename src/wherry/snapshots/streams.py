"""Streams that hash what passes through them."""

import hashlib
from collections.abc import Callable

from wherry.model.errors.images import ArchiveRefused
from wherry.model.ids import DiffId, Digest
from wherry.snapshots.diff import Writable
from wherry.snapshots.tar_reader import Readable


class HashingReader:
    """A source that is hashed as it is read, and refused beyond a limit."""

    def __init__(
        self,
        source: Readable,
        *,
        limit_bytes: int,
        known_digest: Callable[[], Digest] | None = None,
    ) -> None:
        """`known_digest` is asked at the end where somebody else hashes the same bytes."""
        self._source = source
        self._limit_bytes = limit_bytes
        self._known_digest = known_digest
        self._hash = hashlib.sha256()
        self._passed = 0

    def read(self, size: int, /) -> bytes:
        """The next bytes. Raises: ArchiveRefused when there are more than the limit."""
        data = self._source.read(size)
        if self._known_digest is None:
            self._hash.update(data)
        self._passed += len(data)
        if self._passed > self._limit_bytes:
            raise ArchiveRefused(f"layer of more than {self._limit_bytes} bytes")
        return data

    def digest(self) -> DiffId:
        """Of all that was read."""
        if self._known_digest is not None:
            return DiffId(self._known_digest())
        return DiffId("sha256:" + self._hash.hexdigest())


class HashingWriter:
    """A sink that hashes what it passes on."""

    def __init__(self, out: Writable) -> None:
        self._out = out
        self._hash = hashlib.sha256()

    def write(self, data: bytes, /) -> None:
        """Pass bytes on."""
        self._hash.update(data)
        self._out.write(data)

    def digest(self) -> DiffId:
        """Of all that was written."""
        return DiffId("sha256:" + self._hash.hexdigest())
