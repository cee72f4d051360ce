"""Caches elsewhere, for one build: looked in before its steps, and left behind them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial

from wherry.builder.cache.exports import CacheExport, PackedCache, Solved, pack, wanted_exports
from wherry.builder.cache.images import CacheImages
from wherry.builder.cache.imports import Elsewhere, ImportedCache, Warn, opened_cache
from wherry.builder.cache.layers_elsewhere import read_small
from wherry.builder.publishing import Registries, TellProgress
from wherry.builder.sources.ports import LayoutBlob, Layouts
from wherry.images import BuildImages, BuildState
from wherry.kit.aio import OffloadPool
from wherry.model.builds import BuildRequest, CacheStore
from wherry.model.errors import FeatureMissing, InvalidValue, WherryError
from wherry.model.ids import Digest
from wherry.oci.image_json import DESCRIPTOR
from wherry.oci.image_spec import Descriptor
from wherry.registry import read_manifest

_CACHE_MANIFEST = "cache.manifest"
"""Under this name clients look for what they are to put into a layout's index."""


class Caching:
    """The caches of one build."""

    def __init__(
        self,
        *,
        request: BuildRequest,
        registries: Registries,
        tell: TellProgress,
        layouts: Layouts,
        images: BuildImages,
        find_here: Callable[[str], Awaitable[BuildState | None]],
        find_image: Callable[[str], Awaitable[BuildState]],
        warn: Warn,
        offload: OffloadPool,
    ) -> None:
        """Raises: FeatureMissing, InvalidValue, for caches that can't be written."""
        self._request = request
        self._exports = wanted_exports(request.cache_exports)
        self._registries = registries
        self._tell = tell
        self._layouts = layouts
        self._images = images
        self._find_here = find_here
        self._find_image = find_image
        self._warn = warn
        self._offload = offload

    async def elsewhere(self) -> Elsewhere:
        """Where results are looked for; what can't be had is no reason not to build."""
        states: list[BuildState] = []
        caches: list[ImportedCache] = []
        opening = [self._opened(each) for each in self._request.cache_imports]
        for found in await asyncio.gather(*opening):
            match found:
                case BuildState():
                    states.append(found)
                case ImportedCache() if self._request.only_plans:
                    raise FeatureMissing(
                        "foreseeing a build that finds results in a cache elsewhere"
                    )
                case ImportedCache():
                    caches.append(found)
                case None:
                    pass
        return Elsewhere(CacheImages(states), caches, self._images, self._offload, self._warn)

    async def _opened(self, store: CacheStore) -> BuildState | ImportedCache | None:
        try:
            if store.kind == "registry":
                return await self._of_registry(_needed(store, "ref"))
            if store.kind == "local":
                return await self._of_layout(_needed(store, "src"), _needed(store, "digest"))
        except FeatureMissing:
            raise
        except WherryError as problem:
            place = store.attributes.get("ref") or store.attributes.get("src")
            self._warn(f"cache of {place}", problem)
            return None
        raise FeatureMissing(f"--cache-from type={store.kind}")

    async def _of_registry(self, reference: str) -> BuildState | ImportedCache:
        """A cache of a registry; an image, of here or of there, is one as well."""
        here = await self._find_here(reference)
        if here is not None:
            return here
        found = await self._registries.manifest(reference)
        cache = await opened_cache(found, partial(self._registries.blob, reference))
        return cache or await self._find_image(reference)

    async def _of_layout(self, place: str, digest: str) -> ImportedCache:
        name = f"local:{place}"

        def blob(descriptor: Descriptor) -> AsyncIterator[bytes]:
            return self._layouts.blob(name, descriptor.digest)

        content = await read_small(self._layouts.blob(name, digest), digest)
        cache = await opened_cache(read_manifest(content), blob)
        if cache is None:
            raise InvalidValue(f"{digest} is no cache")
        return cache

    async def leave(self, solved: Sequence[Solved]) -> Mapping[str, str]:
        """Write all caches; what is to be said of them. Raises: RegistryRefused, ..."""
        said: dict[str, str] = {}
        for export in self._exports:
            try:
                said |= await self._left(export, solved)
            except WherryError as problem:
                if not export.may_fail:
                    raise
                self._warn(f"cache to {export.place}", problem)
        return said

    async def _left(self, export: CacheExport, solved: Sequence[Solved]) -> Mapping[str, str]:
        cache = await self._offload(pack, export, solved, self._images)
        if export.kind == "registry":
            await self._registries.upload(
                export.place,
                layers=cache.layers,
                documents=[cache.config],
                manifests=[cache.manifest],
                tell=self._tell,
            )
            return {}
        top = cache.manifest.described()
        number = len(self._request.outputs) + export.number
        await self._layouts.fill(
            number, f"local:{export.place}", await self._offload(self._blobs, cache), top
        )
        return {_CACHE_MANIFEST: json.dumps(DESCRIPTOR.to_json(top))}

    def _blobs(self, cache: PackedCache) -> Sequence[LayoutBlob]:
        digests = [
            *(each.blob for each in cache.layers),
            cache.config,
            self._images.keep(cache.manifest.content),
        ]
        return layout_blobs(self._images, digests)


def layout_blobs(images: BuildImages, digests: Sequence[Digest]) -> Sequence[LayoutBlob]:
    """Blobs that are here, on their way into a layout; blocks. Raises: StateUnreadable."""
    return [
        LayoutBlob(
            digest=each, size_bytes=images.size_of(each), open=partial(images.open_blob, each)
        )
        for each in dict.fromkeys(digests)
    ]


def _needed(store: CacheStore, name: str) -> str:
    value = store.attributes.get(name, "")
    if not value:
        raise InvalidValue(f"{name} is required for the cache type {store.kind}")
    return value
