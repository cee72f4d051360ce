"""The copy of the database, kept up to date while the engine runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from wherry.kit.aio import OffloadPool
from wherry.kit.aio.background import own_task
from wherry.store import Database

COPY_EVERY_S = 10.0
"""What a database that is lost may lose. An engine in which nothing happens copies nothing."""


@contextlib.asynccontextmanager
async def kept_copies(database: Database, offload: OffloadPool) -> AsyncIterator[None]:
    """Copy what has changed, now and then, as long as the block runs."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(COPY_EVERY_S)
            if not database.is_copied:
                await offload(database.keep_copy)

    keeping = own_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
