"""Files named by the digest of their bytes.

A disk may give back other bytes than it was given. So whoever passes bytes on that nobody else
will compare reads them *verified*. A blob that isn't what its name says is removed as soon as it
is noticed: without it, whatever brings it again heals it.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO

from wherry.content.ingest import BlobWriter, StagedBlob
from wherry.kit.atomic_files import sync_directory
from wherry.model.errors import StateUnreadable
from wherry.model.errors.images import DigestMismatch
from wherry.model.ids import Digest

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_HEX = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20

Tell = Callable[[Digest], None]


def _nobody(_digest: Digest) -> None:
    """Keep it to oneself."""


class VerifiedBlob:
    """A blob whose bytes are compared with its name as they go by."""

    def __init__(self, store: "ContentStore", digest: Digest) -> None:
        self._store = store
        self._digest = digest
        self._file = store.open(digest)
        self._hash = hashlib.sha256()

    def __enter__(self) -> "VerifiedBlob":
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def read(self, size: int, /) -> bytes:
        """The next bytes; empty at the end. Raises: StateUnreadable, at the end, if damaged."""
        piece = self._file.read(size)
        self._hash.update(piece)
        if not piece and "sha256:" + self._hash.hexdigest() != self._digest:
            raise self._store.damaged(self._digest)
        return piece

    def read_rest(self) -> int:
        """Compare what nobody has read, too; how many bytes that was. Raises: as `read`."""
        count = 0
        while piece := self.read(_PIECE):
            count += len(piece)
        return count


class ContentStore:
    """Blobs of one data root; every method may be called from any thread."""

    def __init__(self, directory: str, *, tell: Tell = _nobody) -> None:
        """Take over a directory, made where it is missing; `tell` hears of damaged blobs."""
        self._tell = tell
        self._blobs = os.path.join(directory, "blobs", "sha256")
        self._ingest = os.path.join(directory, "ingest")
        for path in (directory, os.path.dirname(self._blobs), self._blobs, self._ingest):
            os.makedirs(path, mode=0o710, exist_ok=True)

    def ingest(self) -> BlobWriter:
        """Begin to take in a blob."""
        return BlobWriter(os.path.join(self._ingest, os.urandom(16).hex()))

    def stage(self, content: bytes) -> StagedBlob:
        """Take in a blob that is in memory."""
        with self.ingest() as writer:
            writer.write(content)
            return writer.finish()

    def commit(self, staged: StagedBlob, *, expected: Digest | None = None) -> Digest:
        """Give a staged blob its name, durably: fsync, rename, fsync of the directory.

        Raises: DigestMismatch when it is not what was expected (it is thrown away then);
        OSError.
        """
        if expected is not None and staged.digest != expected:
            self.discard(staged)
            raise DigestMismatch(expected, staged.digest)
        target = self._path(staged.digest)
        if os.path.exists(target):
            self.discard(staged)
            return staged.digest
        descriptor = os.open(staged.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(staged.path, target)
        sync_directory(self._blobs)
        return staged.digest

    def discard(self, staged: StagedBlob) -> None:
        """Throw a staged blob away; one that is gone is no error."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged.path)

    def has(self, digest: Digest) -> bool:
        """Whether a blob is here."""
        return os.path.exists(self._path(digest))

    def open(self, digest: Digest) -> BinaryIO:
        """Read a blob. Raises: StateUnreadable when it is not here."""
        try:
            return open(self._path(digest), "rb")
        except FileNotFoundError as error:
            raise StateUnreadable(f"blob {digest}", "missing") from error

    def read(self, digest: Digest, *, limit_bytes: int) -> bytes:
        """A small blob, verified. Raises: StateUnreadable when missing, damaged or larger."""
        with self.open(digest) as file:
            content = file.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise StateUnreadable(f"blob {digest}", f"larger than {limit_bytes} bytes")
        if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
            raise self.damaged(digest)
        return content

    def open_verified(self, digest: Digest) -> VerifiedBlob:
        """Read a blob to pass it on. Raises: StateUnreadable when it is not here."""
        return VerifiedBlob(self, digest)

    def verify(self, digest: Digest) -> int:
        """Read a blob for no other reason; how many bytes it has, none if it has just gone.

        Raises: StateUnreadable when it is damaged, or the disk does not give it back.
        """
        try:
            blob = self.open_verified(digest)
        except StateUnreadable:
            return 0
        try:
            with blob:
                return blob.read_rest()
        except OSError as error:
            self.damaged(digest)
            raise StateUnreadable(f"blob {digest}", error.strerror or "unreadable") from error

    def damaged(self, digest: Digest) -> StateUnreadable:
        """Remove a blob that is not what its name says; the error that tells of it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(digest))
        self._tell(digest)
        return StateUnreadable(f"blob {digest}", "its content has another digest")

    def size(self, digest: Digest) -> int:
        """Bytes of a blob. Raises: StateUnreadable when it is not here."""
        try:
            return os.stat(self._path(digest)).st_size
        except FileNotFoundError as error:
            raise StateUnreadable(f"blob {digest}", "missing") from error

    def drop_damaged(self, digest: Digest, *, size_bytes: int) -> bool:
        """Remove a blob that hasn't its size; whether it is missing now."""
        try:
            if self.size(digest) == size_bytes:
                return False
            os.unlink(self._path(digest))
        except (StateUnreadable, FileNotFoundError):
            pass
        return True

    def digests(self) -> Iterator[Digest]:
        """Every blob that is here."""
        for name in os.listdir(self._blobs):
            if _HEX.fullmatch(name):
                yield Digest(f"sha256:{name}")

    def collect(self, roots: Collection[Digest]) -> tuple[Digest, ...]:
        """Remove every blob that no root names; returns what was removed."""
        removed = tuple(digest for digest in self.digests() if digest not in roots)
        for digest in removed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(digest))
        return removed

    def sweep(self) -> None:
        """At boot: throw away what was under way."""
        for name in os.listdir(self._ingest):
            os.unlink(os.path.join(self._ingest, name))

    def _path(self, digest: Digest) -> str:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise ValueError(f"not a sha256 digest: {digest!r}")
        return os.path.join(self._blobs, match.group(1))
