"""`RUN --mount=type=cache`: directories that one build leaves to the next.

A directory has a number, and that alone is its name on disk: what a Dockerfile calls it (`id`) is
a key of the table and never part of a path. There are three ways of sharing: all at once
(`shared`), one after the other (`locked`), or each its own, where whoever comes takes one that is
free (`private`).
"""

import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from wherry.kit.aio import KeyedLock, OffloadPool
from wherry.kit.clock import Clock
from wherry.kit.values import dataclass
from wherry.linux.files import remove_tree
from wherry.model.builds import CacheKind, CacheRecord
from wherry.snapshots import file_sizes
from wherry.store import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheWish:
    """What a step asks for."""

    name: str
    """By what it is found again: the id, and what it begins with."""
    description: str
    sharing: str
    owner: tuple[int, int]
    mode: int


class CacheMounts:
    """The directories; they are made, used and removed by this class alone."""

    def __init__(
        self, directory: str, database: Database, offload: OffloadPool, clock: Clock
    ) -> None:
        os.makedirs(directory, mode=0o711, exist_ok=True)
        self._directory = directory
        self._database = database
        self._offload = offload
        self._clock = clock
        self._locked = KeyedLock()
        self._making = KeyedLock()
        self._in_use: Counter[int] = Counter()

    @contextlib.asynccontextmanager
    async def held(
        self, wish: CacheWish, fill: Callable[[str], Awaitable[None]]
    ) -> AsyncIterator[str]:
        """The path of a directory for as long as a step has it; `fill` is asked for a new one.

        Raises: OSError; what `fill` raises.
        """
        async with contextlib.AsyncExitStack() as held:
            if wish.sharing == "locked":
                await held.enter_async_context(self._locked.held(wish.name))
            async with self._making.held(wish.name):
                number = await self._offload(self._found, wish)
                if number is None:
                    number = await self._made(wish, fill)
                self._in_use[number] += 1
            held.callback(self._release, number)
            yield self._path(number)

    def all(self) -> tuple[CacheRecord, ...]:
        """Every directory, with what it takes now; blocks."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT number, name, description, created_at_ns, used_at_ns, use_count "
                "FROM build_cache_mounts ORDER BY number"
            ).fetchall()
        return tuple(
            CacheRecord(
                key=f"mount-{row[0]}",
                kind=CacheKind.CACHE_MOUNT,
                description=row[2],
                size_bytes=sum(file_sizes(self._path(row[0]))),
                created_at_ns=row[3],
                used_at_ns=row[4],
                use_count=row[5],
                is_in_use=self._in_use[row[0]] > 0,
            )
            for row in found
        )

    def forget(self, keys: tuple[str, ...]) -> None:
        """Remove directories that nobody uses; blocks. Raises: OSError."""
        for key in keys:
            number = int(key.removeprefix("mount-"))
            if self._in_use[number]:
                continue
            with self._database.transaction() as rows:
                rows.execute("DELETE FROM build_cache_mounts WHERE number = ?", (number,))
            self._remove(number)

    def sweep(self) -> None:
        """At boot: throw away what was begun and never came to be one; blocks."""
        with self._database.reading() as rows:
            known = {str(row[0]) for row in rows.execute("SELECT number FROM build_cache_mounts")}
        for name in set(os.listdir(self._directory)) - known:
            self._remove(int(name))

    # -- inside ------------------------------------------------------------------------------

    def _found(self, wish: CacheWish) -> int | None:
        with self._database.transaction() as rows:
            found = rows.execute(
                "SELECT number FROM build_cache_mounts WHERE name = ? ORDER BY number",
                (wish.name,),
            ).fetchall()
            numbers = [row[0] for row in found if os.path.isdir(self._path(row[0]))]
            if wish.sharing == "private":
                numbers = [each for each in numbers if not self._in_use[each]]
            if not numbers:
                return None
            rows.execute(
                "UPDATE build_cache_mounts SET used_at_ns = ?, use_count = use_count + 1 "
                "WHERE number = ?",
                (self._clock.now_ns(), numbers[0]),
            )
        number: int = numbers[0]
        return number

    async def _made(self, wish: CacheWish, fill: Callable[[str], Awaitable[None]]) -> int:
        number = await self._offload(self._begin)
        path = self._path(number)
        try:
            await fill(path)
            await self._offload(self._keep, number, wish)
        except BaseException:
            await self._offload(self._remove, number)
            raise
        return number

    def _begin(self) -> int:
        number = max((int(each) for each in os.listdir(self._directory) if each.isdigit()),
                     default=0)  # fmt: skip
        while True:
            number += 1
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._path(number), 0o700)
                return number

    def _keep(self, number: int, wish: CacheWish) -> None:
        path, now_ns = self._path(number), self._clock.now_ns()
        os.chown(path, *wish.owner)
        os.chmod(path, wish.mode)
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT OR REPLACE INTO build_cache_mounts VALUES (?, ?, ?, ?, ?, 1)",
                (number, wish.name, wish.description, now_ns, now_ns),
            )

    def _release(self, number: int) -> None:
        self._in_use[number] -= 1
        if not self._in_use[number]:
            del self._in_use[number]

    def _remove(self, number: int) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(directory, str(number))
        finally:
            os.close(directory)

    def _path(self, number: int) -> str:
        return f"{self._directory}/{number}"
