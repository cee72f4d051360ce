"""Steps that a cancellation must not leave half way."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(step: Coroutine[object, object, T]) -> T:
    """Run a step to its end even if the caller is cancelled; then the cancellation goes on.

    Work in a thread or in another process can't be called back. Were its reverse to begin while
    it still runs, what it does last would stay.
    """
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
