"""Unpacking layers while they come, before anybody has said that they are layers.

In an archive the documents that tell what its members are come last. Waiting for them would mean
to receive first and to unpack then; so whatever is large is unpacked beside its arrival, in a
thread that follows the blob's file:

    receive ══▶ blob ══▶ blob ══▶ documents ─▶ what was right is settled, the rest dropped
                 ║        ║
                 ╚unpack  ╚unpack

That a member can't be unpacked matters only if it turns out to be a layer.
"""

import concurrent.futures
import contextlib

from wherry.content import BlobWriter, FollowingReader, StagedBlob
from wherry.model.errors import WherryError
from wherry.snapshots import LayerDirectories, LooseLayer

_Unpacked = concurrent.futures.Future[LooseLayer]


class UnpackingAhead:
    """The layers of one archive; leaving the block drops what nobody took."""

    def __init__(self, directories: LayerDirectories) -> None:
        self._directories = directories
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="unpacking")
        self._by_blob: dict[str, _Unpacked] = {}

    def __enter__(self) -> "UnpackingAhead":
        return self

    def __exit__(self, *_error: object) -> None:
        for path in list(self._by_blob):
            self._drop(path)
        self._thread.shutdown()

    def follow(self, writer: BlobWriter) -> None:
        """Unpack a blob that begins to come; one at a time, so that few files are open."""
        concurrent.futures.wait(self._by_blob.values())
        reader = writer.follow()
        self._by_blob[writer.path] = self._thread.submit(self._unpack, reader)

    def take(self, blob: StagedBlob) -> LooseLayer | None:
        """What was made of a blob; None when it was not unpacked, or was taken before.

        Raises: ArchiveRefused, StepFailed: why it can't be a layer.
        """
        unpacked = self._by_blob.pop(blob.path, None)
        return None if unpacked is None else unpacked.result()

    def forget(self, blob: StagedBlob) -> None:
        """Drop what was made of a blob that is not wanted."""
        self._drop(blob.path)

    def _unpack(self, reader: FollowingReader) -> LooseLayer:
        with contextlib.closing(reader):
            return self._directories.unpack(reader, packed_digest=reader.digest)

    def _drop(self, path: str) -> None:
        unpacked = self._by_blob.pop(path, None)
        if unpacked is not None:
            with contextlib.suppress(WherryError):
                self._directories.drop(unpacked.result())
