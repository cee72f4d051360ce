"""Reading a log while it is written, without holding up the event loop."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager

from wherry.kit.aio import OffloadPool
from wherry.linux.inotify import (
    IN_CREATE,
    IN_MODIFY,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    inotify_add_watch,
    inotify_init1,
    read_events,
)
from wherry.logs.json_lines import Line
from wherry.logs.reader import LogReader, Selection

_LINES_AT_ONCE = 2000


async def read_log(
    path: str, selection: Selection, *, offload: OffloadPool
) -> AsyncIterator[list[Line]]:
    """The lines that there are now, in batches. A log that is not there is empty."""
    reader = LogReader(path, selection)
    try:
        async for batch in _batches(reader, offload):
            yield batch
    finally:
        reader.close()


async def follow_log(
    path: str,
    selection: Selection,
    *,
    ended: Awaitable[object],
    offload: OffloadPool,
) -> AsyncIterator[list[Line]]:
    """The lines that there are, then those that come, in batches, until `ended` is done.

    `ended` is the end of the container: all its lines are in the file by then. Rotation is
    followed, and `selection.until_ns` ends it too.
    """
    reader = LogReader(path, selection)
    end = asyncio.ensure_future(ended)
    try:
        async with _changes_of(os.path.dirname(path)) as changed:
            while not reader.has_ended:
                # Looked at before reading: what is written before the end is read after it.
                was_over = end.done()
                changed.clear()
                async for batch in _batches(reader, offload):
                    yield batch
                if was_over:
                    return
                waiting = asyncio.ensure_future(changed.wait())
                try:
                    await asyncio.wait((waiting, end), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
    finally:
        end.cancel()
        reader.close()


async def _batches(reader: LogReader, offload: OffloadPool) -> AsyncIterator[list[Line]]:
    lines = reader.lines()
    while batch := await _until_done(offload(_take, lines)):
        yield batch


def _take(lines: Iterator[Line]) -> list[Line]:
    return list(itertools.islice(lines, _LINES_AT_ONCE))


async def _until_done(reading: Awaitable[list[Line]]) -> list[Line]:
    """Wait for a read; when cancelled too, because the thread still uses the reader's files."""
    work = asyncio.ensure_future(reading)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait((work,))
        raise


@asynccontextmanager
async def _changes_of(directory: str) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever a file in the directory changes."""
    changed = asyncio.Event()
    watch = inotify_init1()
    loop = asyncio.get_running_loop()

    def on_readable() -> None:
        for _change in read_events(watch):
            changed.set()

    try:
        inotify_add_watch(watch, directory, IN_MODIFY | IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO)
        loop.add_reader(watch, on_readable)
        yield changed
    finally:
        loop.remove_reader(watch)
        os.close(watch)
