"""What builds have kept: a list of it, and what goes when somebody prunes or space is short.

Records go from the least recently used on. What a running build uses stays; so does what an image
has too, unless all is to go: removing it frees nothing.
"""

import os
from collections.abc import Callable, Mapping, Sequence

from wherry.builder import BuildCache, CacheMounts, KeptContexts
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.kit.durations import read_duration
from wherry.kit.values import replace
from wherry.model.builds import CacheKind, CachePrune, CacheRecord
from wherry.model.errors import InvalidValue

Matches = Callable[[CacheRecord], bool]


class BuildCaches:
    """Results of steps, cache mounts and what clients have sent, together."""

    def __init__(
        self,
        *,
        steps: BuildCache,
        mounts: CacheMounts,
        contexts: KeptContexts,
        store: ImageStore,
        data_root: str,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._steps = steps
        self._mounts = mounts
        self._contexts = contexts
        self._store = store
        self._data_root = data_root
        self._offload = offload
        self._clock = clock

    async def all(self) -> Sequence[CacheRecord]:
        """What later builds may use again."""
        return await self._offload(self._all)

    async def prune(self, wish: CachePrune) -> Sequence[CacheRecord]:
        """Remove records; which ones went. Raises: InvalidValue."""
        gone = await self._offload(self._removed, [wish])
        await self._offload(self._store.collect)
        return gone

    async def tidy(self, rules: Sequence[CachePrune]) -> Sequence[CacheRecord]:
        """Follow rules, one after the other; which records went. Raises: InvalidValue.

        Everything is counted once, and the collector runs only where something went.
        """
        gone = await self._offload(self._removed, rules)
        if gone:
            await self._offload(self._store.collect)
        return gone

    def _all(self) -> tuple[CacheRecord, ...]:
        layers = [each for image in self._store.list() for each in image.layers]
        shared = {str(each.diff_id) for each in layers}
        stacks = {str(each.chain_id) for each in layers}
        steps = tuple(
            # A step without a layer is an image's that has what it was done on.
            replace(
                each,
                is_shared=each.diff_id in shared if each.diff_id else each.chain_id in stacks,
            )
            for each in self._steps.all()
        )
        return (*steps, *self._mounts.all(), *self._contexts.all())

    def _removed(self, wishes: Sequence[CachePrune]) -> Sequence[CacheRecord]:
        now_ns = self._clock.now_ns()
        tests = [matching(each.filters, now_ns=now_ns) for each in wishes]
        records: Sequence[CacheRecord] = self._all()
        free_bytes, gone = _free_bytes(self._data_root), list[CacheRecord]()
        for wish, matches in zip(wishes, tests, strict=True):
            candidates = [each for each in records if matches(each)]
            going = chosen(candidates, records, wish, free_bytes)
            self._forget(going, wish.reason)
            records = [each for each in records if each not in going]
            free_bytes += sum(each.size_bytes for each in going if not each.is_shared)
            gone += going
        return gone

    def _forget(self, gone: Sequence[CacheRecord], reason: str) -> None:
        keys = {kind: tuple(each.key for each in gone if each.kind is kind) for kind in CacheKind}
        now_ns = self._clock.now_ns()
        self._steps.forget(keys[CacheKind.STEP], reason=reason, now_ns=now_ns)
        self._mounts.forget(keys[CacheKind.CACHE_MOUNT])
        self._contexts.forget(keys[CacheKind.CONTEXT])


def chosen(
    candidates: Sequence[CacheRecord],
    everything: Sequence[CacheRecord],
    wish: CachePrune,
    free_bytes: int,
) -> Sequence[CacheRecord]:
    """Which of the candidates go, the least recently used first.

    Without limits all of them do. With limits, as many as it takes until the cache is below the
    most that it may have and the disk has enough free; never below what is reserved.
    """
    total = sum(each.size_bytes for each in everything if not each.is_shared)
    has_limits = bool(wish.most_bytes or wish.least_free_bytes or wish.reserved_bytes)
    gone: list[CacheRecord] = []
    for record in sorted(candidates, key=lambda each: (each.used_at_ns, each.key)):
        if record.is_in_use or (record.is_shared and not wish.takes_all):
            continue
        if has_limits and not _is_over(total, free_bytes, wish):
            break
        gone.append(record)
        freed = 0 if record.is_shared else record.size_bytes
        total, free_bytes = total - freed, free_bytes + freed
    return gone


def _is_over(total: int, free_bytes: int, wish: CachePrune) -> bool:
    if total <= wish.reserved_bytes:
        return False
    is_too_large = bool(wish.most_bytes) and total > wish.most_bytes
    is_too_tight = bool(wish.least_free_bytes) and free_bytes < wish.least_free_bytes
    return is_too_large or is_too_tight or not (wish.most_bytes or wish.least_free_bytes)


def _free_bytes(path: str) -> int:
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize


# -- filters ---------------------------------------------------------------------------------


def matching(filters: Mapping[str, Sequence[str]], *, now_ns: int) -> Matches:
    """Docker's filters of `builder prune`, all of which must hold. Raises: InvalidValue."""
    tests = [_test(name, values, now_ns) for name, values in filters.items()]
    return lambda record: all(test(record) for test in tests)


def _test(name: str, values: Sequence[str], now_ns: int) -> Matches:
    if name in _CLAIMS:
        wanted = _boolean(name, values[0]) if values else True
        claim = _CLAIMS[name]
        return lambda record: claim(record) is wanted
    if name in _LABELS:
        return lambda _record: name == "label!"
    if name not in (*_TEXTS, "id", "until", "unused-for", "parent"):
        raise InvalidValue(f"invalid filter '{name}'")
    if len(values) != 1:
        raise InvalidValue(f"filter '{name}' expects only one value")
    value = values[0]
    if name == "parent":
        return lambda record: any(each.startswith(value) for each in record.parents)
    if name == "id":
        return lambda record: value in record.shown_id
    if name in _TEXTS:
        text = _TEXTS[name]
        return lambda record: text(record) == value
    before_ns = now_ns - _age_ns(name, value)
    return lambda record: record.used_at_ns <= before_ns


_CLAIMS: Mapping[str, Matches] = {
    "inuse": lambda record: record.is_in_use,
    "shared": lambda record: record.is_shared,
    "private": lambda record: not record.is_shared,
}
_LABELS = ("label", "label!")
"""Of `system prune`, which has one filter for all kinds: nothing that builds keep has labels."""
_TEXTS: Mapping[str, Callable[[CacheRecord], str]] = {
    "description": lambda record: record.description,
    "type": lambda record: record.kind.value,
}


def _boolean(name: str, text: str) -> bool:
    if text.lower() in ("1", "true", "t"):
        return True
    if text.lower() in ("0", "false", "f"):
        return False
    raise InvalidValue(f"invalid filter '{name}={text}'")


def _age_ns(name: str, text: str) -> int:
    try:
        return read_duration(text)
    except ValueError:
        raise InvalidValue(
            f"\"{name}\" filter expects a duration (e.g., '24h'), not {text!r}"
        ) from None
