"""Files named by the digest of their bytes."""

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import BinaryIO

from wherry.kit.atomic_files import sync_directory
from wherry.kit.values import dataclass
from wherry.model.errors import Cancelled, DigestMismatch, StateUnreadable, StepFailed
from wherry.model.ids import Digest

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedBlob:
    """Bytes that were taken in and have no name yet."""

    path: str
    digest: Digest
    size_bytes: int

    def open(self) -> BinaryIO:
        """Read it."""
        return open(self.path, "rb")


class BlobWriter:
    """Takes in one blob; leaving the block without `finish` throws it away."""

    def __init__(self, path: str) -> None:
        self.path = path
        """Where the bytes are until the blob has a name."""
        self._hash = hashlib.sha256()
        self._size = 0
        self._file = open(path, "xb", buffering=0, opener=_open_private)  # noqa: SIM115
        self._is_finished = False
        self._grown = threading.Condition()
        self._is_over = False

    def write(self, data: bytes | memoryview, /) -> None:
        """Add bytes. Raises: StepFailed."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise StepFailed("store a blob", (error.strerror or "").lower()) from error
        self._hash.update(data)
        with self._grown:
            self._size += len(data)
            self._grown.notify_all()

    def follow(self) -> "FollowingReader":
        """Read the blob from its beginning while it comes."""
        return FollowingReader(self, self.path)

    def wait_beyond(self, position: int) -> int:
        """How many bytes there are, once there are more than `position` or it is over.

        Raises: Cancelled when the blob was given up.
        """
        with self._grown:
            self._grown.wait_for(lambda: self._size > position or self._is_over)
            if self._is_over and not self._is_finished:
                raise Cancelled
            return self._size

    def finish(self) -> StagedBlob:
        """No more bytes: what came is staged now."""
        self._file.close()
        self._is_finished = True
        self._end()
        return StagedBlob(path=self.path, digest=self.digest(), size_bytes=self._size)

    def digest(self) -> Digest:
        """Of all that was written."""
        return Digest("sha256:" + self._hash.hexdigest())

    def __enter__(self) -> "BlobWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._end()
        if not self._is_finished:
            os.unlink(self.path)

    def _end(self) -> None:
        with self._grown:
            self._is_over = True
            self._grown.notify_all()


class FollowingReader:
    """A blob on its way in, as a source that waits for what has not come yet.

    For a thread of its own: it blocks as long as the writer takes.
    """

    def __init__(self, writer: BlobWriter, path: str) -> None:
        self._writer = writer
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty at the end. Raises: Cancelled when the blob was given up."""
        available = self._writer.wait_beyond(self._position) - self._position
        data = self._file.read(min(size, available))
        self._position += len(data)
        return data

    def digest(self) -> Digest:
        """Of the whole blob, once all of it was read."""
        return self._writer.digest()

    def close(self) -> None:
        """Read no more."""
        self._file.close()


class ContentStore:
    """Blobs of one data root; every method may be called from any thread."""

    def __init__(self, directory: str) -> None:
        """Take over a directory, made where it is missing."""
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
            raise StateUnreadable(f"blob {digest}", "its content has another digest")
        return content

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


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
