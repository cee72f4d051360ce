"""Undo stacks, keyed locks, and streams between loop and threads."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from wherry.kit.aio import (
    BlockingReader,
    BlockingWriter,
    KeyedLock,
    OffloadPool,
    UndoStack,
    in_thread,
    written_in_thread,
)


async def test_undo_runs_backwards() -> None:
    """Steps are taken back last first when the block fails."""
    done: list[int] = []

    async def reverse(step: int) -> None:
        done.append(step)

    with pytest.raises(RuntimeError):
        async with UndoStack() as undo:
            undo.push(reverse, 1)
            undo.push(reverse, 2)
            raise RuntimeError
    assert done == [2, 1]


async def test_keep_keeps() -> None:
    """After `keep` nothing is taken back."""
    done: list[int] = []

    async def reverse() -> None:
        done.append(1)

    async with UndoStack() as undo:
        undo.push(reverse)
        undo.keep()
    assert not done


async def test_undo_goes_on_after_a_failing_reverse() -> None:
    """One reverse that fails doesn't keep the others from running."""
    done: list[str] = []

    async def fails() -> None:
        raise OSError("no")

    async def works() -> None:
        done.append("works")

    with pytest.raises(RuntimeError):
        async with UndoStack() as undo:
            undo.push(works)
            undo.push(fails)
            raise RuntimeError
    assert done == ["works"]


async def test_undo_goes_on_after_a_reverse_that_was_cancelled() -> None:
    """A reverse that waits for something cancelled doesn't keep the others from running."""
    done: list[str] = []
    gone = asyncio.get_running_loop().create_future()
    gone.cancel()

    async def waits() -> None:
        await gone

    async def works() -> None:
        done.append("works")

    with pytest.raises(RuntimeError):
        async with UndoStack() as undo:
            undo.push(works)
            undo.push(waits)
            raise RuntimeError
    assert done == ["works"]


async def test_second_cancellation_skips_no_reverse() -> None:
    """Cancelling again while the reverses run lets each of them run to its end."""
    done: list[str] = []
    in_reverse = asyncio.Event()
    go_on = asyncio.Event()

    async def slow() -> None:
        in_reverse.set()
        await go_on.wait()
        done.append("slow")

    async def first() -> None:
        done.append("first")

    async def verb() -> None:
        async with UndoStack() as undo:
            undo.push(first)
            undo.push(slow)
            await asyncio.Event().wait()

    task = asyncio.ensure_future(verb())
    await asyncio.sleep(0)
    task.cancel()
    await in_reverse.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["slow", "first"]


async def test_lock_is_per_key_and_forgotten() -> None:
    """Two keys don't wait for each other, one key does, and free keys cost nothing."""
    lock = KeyedLock()
    order: list[str] = []

    async def hold(key: str, name: str, release: asyncio.Event) -> None:
        async with lock.held(key):
            order.append(name)
            await release.wait()

    release = asyncio.Event()
    tasks = [
        asyncio.ensure_future(hold("a", "a1", release)),
        asyncio.ensure_future(hold("a", "a2", release)),
        asyncio.ensure_future(hold("b", "b1", release)),
    ]
    await asyncio.sleep(0)
    assert order == ["a1", "b1"]
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["a1", "b1", "a2"]
    assert not lock._locks


async def test_items_arrive_in_order_from_a_thread() -> None:
    """A blocking iterator's items come out in order, the end included."""
    pool = OffloadPool(1)
    items = [each async for each in in_thread(pool, lambda: iter(range(100)))]
    assert items == list(range(100))


async def test_an_iterators_error_reaches_the_consumer() -> None:
    """What the iterator raises in its thread is raised where it is consumed."""
    pool = OffloadPool(1)

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("bad archive")

    seen: list[int] = []
    with pytest.raises(ValueError, match="bad archive"):
        async for item in in_thread(pool, failing):
            seen.append(item)
    assert seen == [1]


async def test_leaving_early_closes_the_iterator() -> None:
    """A consumer that leaves makes the producer stop and clean up."""
    pool = OffloadPool(1)
    closed: list[bool] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    stream = in_thread(pool, endless)
    async for _item in stream:
        break
    await stream.aclose()
    assert closed == [True]


async def test_what_a_thread_writes_comes_in_pieces() -> None:
    """All of it arrives, the last small piece too; who leaves early ends the writing."""
    pool = OffloadPool(1)
    ended: list[str] = []

    def write(out: BlockingWriter) -> None:
        try:
            for number in range(1_000):
                out.write(bytes([number % 256]) * 1_000)
        except BrokenPipeError:
            ended.append("nobody read")

    pieces = [piece async for piece in written_in_thread(pool, write)]
    assert b"".join(pieces) == b"".join(bytes([n % 256]) * 1_000 for n in range(1_000))
    assert len(pieces) < 10
    stream = written_in_thread(pool, write, ahead=1)
    async for _piece in stream:
        break
    await stream.aclose()
    assert ended == ["nobody read"]


async def test_blocking_reader_gives_exact_sizes() -> None:
    """A thread reads sizes of its own from chunks of any size."""
    pool = OffloadPool(1)

    async def source() -> AsyncIterator[bytes]:
        for chunk in (b"ab", b"", b"cdef", b"g"):
            yield chunk

    reader = BlockingReader(source(), asyncio.get_running_loop())

    def work() -> list[bytes]:
        return [reader.read(3), reader.read(3), reader.read(3), reader.read(3)]

    assert await pool(work) == [b"abc", b"def", b"g", b""]
