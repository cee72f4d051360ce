"""What a thread of the offload pool makes, as a stream of the event loop's.

The thread puts its items into a queue that holds a few: whoever is faster waits. When the consumer
leaves early, the thread's next `put` fails, and the consumer must close its end, since that waits
until the thread is through.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeVar

from wherry.kit.aio.offload import OffloadPool

T = TypeVar("T")

_LOOK_AGAIN_S = 0.05


def in_thread(
    offload: OffloadPool, make: Callable[[], Iterator[T]], *, ahead: int = 8
) -> AsyncGenerator[T, None]:
    """Run a blocking iterator in the pool; at most `ahead` items wait to be taken.

    When the consumer leaves early, the iterator is closed at its next item.
    """

    def produce(put: Callable[[T], None]) -> None:
        iterator = make()
        try:
            for item in iterator:
                put(item)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()

    return _put_by_thread(offload, produce, ahead)


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


def written_in_thread(
    offload: OffloadPool, produce: Callable[[BlockingWriter], object], *, ahead: int = 8
) -> AsyncGenerator[bytes, None]:
    """The bytes that a blocking producer writes in the pool; at most `ahead` pieces wait.

    When the consumer leaves early, the producer's next write fails.
    """

    def write(put: Callable[[bytes], None]) -> None:
        writer = BlockingWriter(put)
        produce(writer)
        writer.flush()

    return _put_by_thread(offload, write, ahead)


async def _put_by_thread(
    offload: OffloadPool, produce: Callable[[Callable[[T], None]], None], ahead: int
) -> AsyncGenerator[T, None]:
    """What a blocking producer puts, in order. Raises: what it raises."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[T, ...]] = asyncio.Queue(ahead)
    """Items, each alone; nothing is the end."""
    has_left = False

    def enqueue(*items: T) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(items), loop).result()

    def put(item: T) -> None:
        if has_left:
            raise BrokenPipeError("nobody takes any more")
        enqueue(item)

    def run() -> None:
        try:
            produce(put)
        finally:
            enqueue()

    producing = asyncio.ensure_future(offload(run))
    try:
        while items := await queue.get():
            yield items[0]
        await producing
    finally:
        has_left = True
        while not producing.done():
            while not queue.empty():
                queue.get_nowait()
            await asyncio.wait([producing], timeout=_LOOK_AGAIN_S)
        if not producing.cancelled():
            producing.exception()
