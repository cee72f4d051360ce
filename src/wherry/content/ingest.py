"""Taking bytes in: hashed as they come, readable meanwhile, nameless until they are whole."""

import hashlib
import os
import threading
from types import TracebackType
from typing import BinaryIO

from wherry.kit.values import dataclass
from wherry.model.errors import Cancelled, StepFailed
from wherry.model.ids import Digest


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


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
