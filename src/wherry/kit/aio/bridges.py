"""Streams across the border between the event loop and the threads of the offload pool.

Both directions are bounded: whoever is faster waits.
"""

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import TypeVar

from wherry.kit.aio.offload import OffloadPool

T = TypeVar("T")

_END = object()


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


async def in_thread(
    offload: OffloadPool, make: Callable[[], Iterator[T]], *, ahead: int = 8
) -> AsyncGenerator[T, None]:
    """Run a blocking iterator in the pool; at most `ahead` items wait to be taken.

    When the consumer leaves early, the iterator is closed at its next item; the consumer must
    close this, since the thread waits until then.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[object] = asyncio.Queue(ahead)
    has_left = False

    def produce() -> None:
        try:
            iterator = make()
            try:
                for item in iterator:
                    if has_left:
                        break
                    asyncio.run_coroutine_threadsafe(queue.put(item), loop).result()
            finally:
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
        finally:
            loop.call_soon_threadsafe(_finish, queue)

    producing = asyncio.ensure_future(offload(produce))
    try:
        while True:
            item = await queue.get()
            if item is _END:
                break
            yield item  # type: ignore[misc]
        await producing
    finally:
        has_left = True
        while not producing.done():
            while not queue.empty():
                queue.get_nowait()
            await asyncio.wait([producing], timeout=0.05)
        if not producing.cancelled():
            producing.exception()


class BlockingWriter:
    """Where a thread writes bytes that an asynchronous consumer takes, in pieces of some size."""

    _PIECE_BYTES = 1 << 18

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        """Pass bytes on; waits while the consumer is behind. Raises: BrokenPipeError."""
        self._pieces.append(bytes(data))
        self._size += len(data)
        if self._size >= self._PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Pass on what is left."""
        if self._size:
            self._put(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))
            self._pieces, self._size = [], 0


async def written_in_thread(
    offload: OffloadPool, produce: Callable[[BlockingWriter], object], *, ahead: int = 8
) -> AsyncIterator[bytes]:
    """The bytes that a blocking producer writes in the pool; at most `ahead` pieces wait.

    When the consumer leaves early, the producer's next write fails.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(ahead)
    has_left = False

    def put(piece: bytes) -> None:
        if has_left:
            raise BrokenPipeError("nobody reads any more")
        asyncio.run_coroutine_threadsafe(queue.put(piece), loop).result()

    def run() -> None:
        writer = BlockingWriter(put)
        try:
            produce(writer)
            writer.flush()
        finally:
            asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()

    producing = asyncio.ensure_future(offload(run))
    try:
        while (piece := await queue.get()) is not None:
            yield piece
        await producing
    finally:
        has_left = True
        while not producing.done():
            while not queue.empty():
                queue.get_nowait()
            await asyncio.wait([producing], timeout=0.05)
        if not producing.cancelled():
            producing.exception()


def _finish(queue: "asyncio.Queue[object]") -> None:
    """Put the end behind the last item, also when the queue is full at this moment."""
    ending = asyncio.ensure_future(queue.put(_END))
    ending.add_done_callback(lambda done: None)
