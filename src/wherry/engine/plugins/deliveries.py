"""Archives that have come and whose plugin is not recorded yet, which nobody may collect.

What no row speaks of is removed. A verb that brings archives and then writes their row says so
beforehand; while one does, nothing is collected, and the last one to end collects.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wherry.engine.plugins.installed import InstalledPlugins
from wherry.kit.aio import OffloadPool


class Deliveries:
    """Those that are under way."""

    def __init__(self, plugins: InstalledPlugins, offload: OffloadPool) -> None:
        self._plugins = plugins
        self._offload = offload
        self._collecting = asyncio.Lock()
        self._count = 0

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[None]:
        """Archives come, as long as the block runs."""
        async with self._collecting:
            self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            await self.collect()

    async def collect(self) -> None:
        """Remove archives that no plugin has, unless some are coming."""
        async with self._collecting:
            if not self._count:
                await self._offload(self._plugins.drop_unneeded)
