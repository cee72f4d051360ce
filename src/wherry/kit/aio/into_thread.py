"""A stream of the event loop's, read by a thread of the offload pool. Whoever is faster waits."""

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import AsyncIterator


class BlockingReader:
    """An asynchronous source of bytes, as a file that one thread reads.

    The event loop runs ahead of the thread by some megabytes, and wakes it when all that it asked
    for is there: a handover for each piece would cost more than the pieces.
    """

    _AHEAD_BYTES = 4 << 20

    def __init__(self, source: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop
        self._pumping: concurrent.futures.Future[None] | None = None
        self._pump_task: asyncio.Task[None] | None = None
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._wanted = 0
        self._has_ended = False
        self._has_room = asyncio.Event()

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end; all that is left for a negative size.

        Raises: what the source raises; CancelledError once it was abandoned.
        """
        if self._pumping is None:
            self._pumping = asyncio.run_coroutine_threadsafe(self._pump(), self._loop)
        taken: list[bytes] = []
        left = size
        while left:
            pieces = self._take(left if size >= 0 else self._AHEAD_BYTES)
            if not pieces:
                break
            taken += pieces
            left -= sum(map(len, pieces))
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def abandon(self) -> None:
        """Nobody will read more: the source is let go, and a thread that waits is released."""
        self._end()
        if self._pumping is not None:
            self._pumping.cancel()
        if self._pump_task is not None:
            # Whoever reads the source next must not meet somebody who still waits for it.
            await asyncio.wait([self._pump_task])

    def _take(self, most: int) -> list[bytes]:
        """Pieces of at most so many bytes together, of at least one; none at the end."""
        taken: list[bytes] = []
        with self._changed:
            self._wanted = min(most, self._AHEAD_BYTES)
            self._changed.wait_for(lambda: self._has_ended or self._size >= self._wanted)
            while self._pieces and most:
                piece = self._pieces.popleft()
                if len(piece) > most:
                    self._pieces.appendleft(piece[most:])
                    piece = piece[:most]
                taken.append(piece)
                most -= len(piece)
                self._size -= len(piece)
            has_ended = self._has_ended
        if not has_ended:
            self._loop.call_soon_threadsafe(self._has_room.set)
        elif not taken and self._pumping is not None:
            self._pumping.result()  # how it ended
        return taken

    async def _pump(self) -> None:
        self._pump_task = asyncio.current_task()
        try:
            async for piece in self._source:
                with self._changed:
                    self._pieces.append(piece)
                    self._size += len(piece)
                    if self._size >= self._wanted:
                        self._changed.notify()
                    is_full = self._size >= self._AHEAD_BYTES
                if is_full:
                    self._has_room.clear()
                    await self._has_room.wait()
        finally:
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify()
