"""Copies of what clients have sent of their directories (`client_trees` says what for).

The directory of a copy is named after the client and its directory, by a digest. When it was used
last is the directory's own time; what it is called, and since when it is here, a file's in it.
"""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator

from wherry.kit.aio import OffloadPool
from wherry.linux.files import remove_tree
from wherry.model.builds import CacheKind, CacheRecord
from wherry.snapshots import file_sizes

FILES, COMING = "files", "coming"
"""What is whole, and what is on its way."""
_NAME = "name"


class KeptContexts:
    """The copies; they are made, used and removed by this class alone."""

    def __init__(self, directory: str, offload: OffloadPool) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._directory = directory
        self._offload = offload
        self._in_use: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def held(self, key: str, name: str) -> AsyncIterator[int]:
        """The descriptor of a copy, made where it is missing; it stays as long as the block runs.

        Raises: OSError.
        """
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
        self._in_use[digest] += 1
        try:
            kept = await self._offload(open_kept, f"{self._directory}/{digest}", name)
            try:
                yield kept
            finally:
                os.close(kept)
        finally:
            self._in_use[digest] -= 1
            if not self._in_use[digest]:
                del self._in_use[digest]

    def all(self) -> tuple[CacheRecord, ...]:
        """A record for each copy; blocks."""
        return tuple(
            self._record(each) for each in os.listdir(self._directory) if _is_digest(each)
        )

    def forget(self, keys: tuple[str, ...]) -> None:
        """Remove copies that nobody uses; blocks. Raises: OSError."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for key in keys:
                if _is_digest(key) and not self._in_use[key]:
                    remove_tree(directory, key)
        finally:
            os.close(directory)

    def _record(self, digest: str) -> CacheRecord:
        place = f"{self._directory}/{digest}"
        name, created_at_ns = "", 0
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"{place}/{_NAME}", errors="replace") as file,
        ):
            name, created_at_ns = file.read(), os.fstat(file.fileno()).st_mtime_ns
        return CacheRecord(
            key=digest,
            kind=CacheKind.CONTEXT,
            description=f"local source for {name}",
            size_bytes=sum(file_sizes(f"{place}/{FILES}")),
            created_at_ns=created_at_ns,
            used_at_ns=os.stat(place).st_mtime_ns,
            use_count=1,
            is_in_use=self._in_use[digest] > 0,
        )


def open_kept(place: str, name: str) -> int:
    """The descriptor of one copy, made where it is missing, and used now. Raises: OSError."""
    for each in (FILES, COMING):
        os.makedirs(f"{place}/{each}", mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError), open(f"{place}/{_NAME}", "x") as file:
        file.write(name)
    os.utime(place)
    return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _is_digest(name: str) -> bool:
    return len(name) == hashlib.sha256().digest_size * 2 and name.isalnum()
