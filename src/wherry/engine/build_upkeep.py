"""Keeping the build cache within its limits: after builds, in the background, at most so often.

What goes is said by rules, one after the other. Those of BuildKit, where nobody has given any:

    1, 2   sent directories, and cache mounts, that were not used for two days, while the cache
           as a whole is larger than a small share of what is reserved for it
    3      whatever was not used for two months, while the cache is over its limits
    4      whatever was used least recently, while it is over them

The limits follow the size of the disk. BuildKit's fifth rule, which removes what other things
share, is left out: with us those are the layers of images, and forgetting them frees nothing.
"""

import asyncio
import logging
import os
from collections.abc import Sequence

from wherry.engine.build_cache import BuildCaches
from wherry.kit.aio import own_task
from wherry.kit.values import replace
from wherry.model.builds import CachePrune, CacheUpkeep
from wherry.model.errors import WherryError

_log = logging.getLogger(__name__)

PAUSE_S = 60.0
"""Between two looks: counting what cache mounts take means to walk through them."""
_RESERVED_BYTES = 2_000_000_000
_MOST_SHARE, _FREE_SHARE = 0.8, 0.2
_PASSING_SHARE, _LEAST_PASSING_BYTES = 0.138, 512_000_000


class BuildUpkeep:
    """Looks after the cache when builds have ended."""

    def __init__(self, caches: BuildCaches, settings: CacheUpkeep, data_root: str) -> None:
        self._caches = caches
        self._settings = settings
        self._data_root = data_root
        self._looking: asyncio.Task[None] | None = None
        self._is_wanted = False

    def wish(self) -> None:
        """A build has ended. One look serves all that end before it begins."""
        self._is_wanted = self._settings.is_on
        if self._is_wanted and (self._looking is None or self._looking.done()):
            self._looking = own_task(self._look())

    async def _look(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            rules = self._settings.rules or default_rules(self._settings, self._data_root)
            told = [
                replace(rule, reason=f"rule {number} of the cache's upkeep")
                for number, rule in enumerate(rules, 1)
            ]
            try:
                gone = await self._caches.tidy(told)
            except (OSError, WherryError):
                _log.exception("build_cache.not_pruned")
                gone = ()
            if gone:
                freed = sum(each.size_bytes for each in gone if not each.is_shared)
                _log.info("build_cache.pruned records=%d bytes=%d", len(gone), freed)
            await asyncio.sleep(PAUSE_S)


def default_rules(settings: CacheUpkeep, data_root: str) -> Sequence[CachePrune]:
    """The rules for a cache on the disk of a data root."""
    state = os.statvfs(data_root)
    disk_bytes = state.f_blocks * state.f_frsize
    reserved = settings.reserved_bytes or _RESERVED_BYTES
    limits = CachePrune(
        reserved_bytes=reserved,
        most_bytes=settings.most_bytes or int(disk_bytes * _MOST_SHARE),
        least_free_bytes=settings.least_free_bytes or int(disk_bytes * _FREE_SHARE),
    )
    passing = CachePrune(most_bytes=max(_LEAST_PASSING_BYTES, int(reserved * _PASSING_SHARE)))
    return (
        _unused(passing, "48h", type="source.local"),
        _unused(passing, "48h", type="exec.cachemount"),
        _unused(limits, "1440h"),
        limits,
    )


def _unused(limits: CachePrune, duration: str, **filters: str) -> CachePrune:
    texts = {"unused-for": (duration,), **{name: (value,) for name, value in filters.items()}}
    return replace(limits, filters=texts)
