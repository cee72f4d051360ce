"""Ending generators that are left before their end.

Whoever leaves an `async for` early closes the generator in front of it, and no generator behind
that one: those end when the collector comes by, and what they hold is held so long.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.asynccontextmanager
async def closed_after(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """End what makes the items with the block, however the block ends."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
