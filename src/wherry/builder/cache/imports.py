"""Caches elsewhere that steps are looked for in (`--cache-from`).

A cache document names steps by our own keys, and the layer of a step that is found is fetched
then, and only then. An image is a cache too, of its own build (`images`).
"""

from collections.abc import Callable, Sequence

from wherry.builder.cache.format import CACHE_CONFIG, CachedLayer, decode_cache
from wherry.builder.cache.images import CacheImages, FoundStep
from wherry.builder.cache.layers_elsewhere import OpenBlob, fetched_layer, read_small
from wherry.images import BuildImages, BuildState
from wherry.kit.aio import OffloadPool
from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.ids import DiffId
from wherry.oci.image_spec import Index, Manifest
from wherry.registry import FetchedManifest
from wherry.snapshots import Compression


@dataclass(frozen=True, slots=True)
class _Step:
    layer: CachedLayer | None
    """What the step itself made."""
    created_at_ns: int


class ImportedCache:
    """One cache, as its document tells of it."""

    def __init__(self, content: bytes, open_blob: OpenBlob) -> None:
        """Raises: InvalidValue for a document that is none."""
        try:
            document = decode_cache(content)
        except ValueError as problem:
            raise InvalidValue(f"invalid cache config: {problem}") from problem
        self.open_blob = open_blob
        self._steps: dict[str, _Step] = {}
        for result in document.results:
            below = document.results[result.below].top if result.below >= 0 else -1
            is_own = result.top >= 0 and result.top != below
            self._steps[result.key] = _Step(
                document.layers[result.top] if is_own else None, result.created_at_ns
            )

    def step(self, key: str) -> _Step | None:
        """What is known of a step."""
        return self._steps.get(key)


async def opened_cache(found: FetchedManifest, open_blob: OpenBlob) -> ImportedCache | None:
    """The cache that a manifest leads to; None where it leads to an image.

    Raises: InvalidValue; what opening does.
    """
    match found.document:
        case Manifest(config=config):
            wanted = config if config.media_type == CACHE_CONFIG else None
        case Index(manifests=entries):
            wanted = next((each for each in entries if each.media_type == CACHE_CONFIG), None)
    if wanted is None:
        return None
    return ImportedCache(await read_small(open_blob(wanted), wanted.digest), open_blob)


Warn = Callable[[str, Exception], None]
"""Takes what could not be used, and why."""


class Elsewhere:
    """All places that one build looks in."""

    def __init__(
        self,
        looked_in: CacheImages,
        caches: Sequence[ImportedCache],
        images: BuildImages,
        offload: OffloadPool,
        warn: Warn,
    ) -> None:
        self._warn = warn
        self._looked_in = looked_in
        self._caches = caches
        self._images = images
        self._offload = offload

    async def find(self, key: str, below: BuildState) -> FoundStep | None:
        """The result of a step; its layer is here then.

        A layer that can't be had is no reason not to run the step.
        """
        for cache in self._caches:
            step = cache.step(key)
            if step is None:
                continue
            if step.layer is None:
                return FoundStep(None, step.created_at_ns)
            try:
                layer = await fetched_layer(
                    step.layer.blob,
                    DiffId(step.layer.diff_id),
                    below,
                    cache.open_blob,
                    images=self._images,
                    offload=self._offload,
                )
            except WherryError as problem:
                self._warn(f"layer {step.layer.blob.digest} of a cache", problem)
                continue
            return FoundStep(layer, step.created_at_ns)
        found = self._looked_in.find(key)
        if found is None or found.layer is None:
            return found
        # An image of a registry has its layers compressed; results of steps are kept plain.
        layer = await self._offload(
            lambda kept: self._images.packed(kept, Compression.NONE, is_forced=True), found.layer
        )
        return FoundStep(layer, found.created_at_ns)
