"""Builds that were: what a door remembers of them, over restarts."""

from collections.abc import Sequence

from wherry.builder import KeptBuilds
from wherry.kit.aio import OffloadPool
from wherry.model.builds import KeptBuild


class BuildHistory:
    """Remembers, and forgets; what is remembered is the door's concern."""

    def __init__(self, kept: KeptBuilds, offload: OffloadPool) -> None:
        self._kept = kept
        self._offload = offload

    async def all(self) -> Sequence[KeptBuild]:
        """Those that are remembered, the oldest first."""
        return await self._offload(self._kept.all)

    async def keep(self, build: KeptBuild, story: bytes) -> Sequence[str]:
        """Remember a build; the names of those that were forgotten for it."""
        return await self._offload(self._kept.keep, build, story)

    async def change(self, build: KeptBuild) -> None:
        """Remember a build in other words; its story stays."""
        await self._offload(self._kept.change, build)

    async def story(self, ref: str) -> bytes | None:
        """What was told of a build; None where none of that name is remembered."""
        return await self._offload(self._kept.story, ref)

    async def forget(self, ref: str) -> None:
        """Forget a build."""
        await self._offload(self._kept.forget, ref)
