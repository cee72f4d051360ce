"""Following a log from the event loop: rotation, the end, cancellation."""

import asyncio
from pathlib import Path

import pytest

from wherry.kit.aio import OffloadPool
from wherry.logs.reader import Selection
from wherry.logs.rotation import Rotation
from wherry.logs.sinks import JsonFileSink
from wherry.tasks import follow_log, read_log

AT = 1_700_000_000_000_000_000


def write_numbers(sink: JsonFileSink, numbers: range) -> None:
    for number in numbers:
        sink.write(1, b"%d\n" % number, AT + number)


@pytest.fixture
def sink(tmp_path: Path) -> JsonFileSink:
    """A log that rotates often, and keeps more than a test writes."""
    return JsonFileSink(str(tmp_path / "log"), Rotation(file_bytes=2000, files=200))


async def test_what_is_written_later_arrives_in_order(sink: JsonFileSink, tmp_path: Path) -> None:
    """Four followers get every line once while the files rotate, and end with the container."""
    offload, ended = OffloadPool(4), asyncio.get_running_loop().create_future()

    async def collect() -> list[int]:
        batches = follow_log(
            str(tmp_path / "log"), Selection(), ended=asyncio.shield(ended), offload=offload
        )
        return [int(line.content) async for batch in batches for line in batch]

    followers = [asyncio.ensure_future(collect()) for _ in range(4)]
    for start in range(0, 2000, 50):
        write_numbers(sink, range(start, start + 50))
        await asyncio.sleep(0)
    ended.set_result(None)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*followers) == [list(range(2000))] * 4
    offload.close()


async def test_a_follower_that_waits_is_woken_and_can_be_let_go(
    sink: JsonFileSink, tmp_path: Path
) -> None:
    """New output wakes it; cancelling it leaves nothing behind."""
    offload, ended = OffloadPool(1), asyncio.get_running_loop().create_future()
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    async def collect() -> None:
        async for batch in follow_log(
            str(tmp_path / "log"), Selection(), ended=asyncio.shield(ended), offload=offload
        ):
            for line in batch:
                seen.put_nowait(line.content)

    follower = asyncio.ensure_future(collect())
    async with asyncio.timeout(5):
        for number in range(3):
            write_numbers(sink, range(number, number + 1))
            assert await seen.get() == b"%d\n" % number
    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    offload.close()


async def test_reading_gives_what_there_is(sink: JsonFileSink, tmp_path: Path) -> None:
    """Without following it ends at the end; a missing log is empty."""
    offload = OffloadPool(1)
    write_numbers(sink, range(1200))
    selection = Selection(tail=700)
    batches = [
        batch async for batch in read_log(str(tmp_path / "log"), selection, offload=offload)
    ]
    assert [int(line.content) for batch in batches for line in batch] == list(range(500, 1200))
    assert [b async for b in read_log(str(tmp_path / "no"), selection, offload=offload)] == []
    offload.close()
