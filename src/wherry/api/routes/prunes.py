"""What takes space, and removing what nobody uses."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.builds import to_cache_prune, to_cache_row
from wherry.api.translate.images import to_deletions, to_image_summary
from wherry.api.translate.listing import to_summary
from wherry.api.translate.volumes import to_usage_answer
from wherry.model.errors import InvalidValue
from wherry.model.queries import ContainerQuery
from wherry.wire import system as shapes
from wherry.wire.builds import CacheRow
from wherry.wire.containers import Summary
from wherry.wire.images import ImageSummary
from wherry.wire.volumes import VolumeAnswer

_KINDS = ("container", "image", "volume", "build-cache")


async def disk_usage(call: Call) -> web.StreamResponse:
    """`GET /system/df`: everything, or the kinds that `type` names."""
    kinds = call.texts("type") or _KINDS
    for kind in kinds:
        if kind not in _KINDS:
            raise InvalidValue(f"unknown object type: {kind}")
    wants_images = "image" in kinds
    return call.json_answer(
        shapes.DiskUsageAnswer(
            LayersSize=await call.services.disk_usage.layers_bytes() if wants_images else 0,
            Images=await _images(call) if wants_images else None,
            Containers=await _containers(call) if "container" in kinds else None,
            Volumes=await _volumes(call) if "volume" in kinds else None,
            BuildCache=await _build_cache(call) if "build-cache" in kinds else None,
        )
    )


async def _build_cache(call: Call) -> list[CacheRow]:
    return [to_cache_row(each) for each in await call.services.builds.cache()]


async def _images(call: Call) -> list[ImageSummary]:
    sizes = await call.services.disk_usage.of_images()
    images = await call.services.images.list({}, wants_all=True)
    return [to_image_summary(each, sizes.get(each.id)) for each in images]


async def _containers(call: Call) -> list[Summary]:
    containers = await call.services.containers.list(ContainerQuery(wants_all=True))
    sizes = await call.services.disk_usage.of_containers(containers)
    now_ns = call.clock.now_ns()
    return [
        to_summary(each, now_ns=now_ns, sizes=measured)
        for each, measured in zip(containers, sizes, strict=True)
    ]


async def _volumes(call: Call) -> list[VolumeAnswer]:
    return [to_usage_answer(each) for each in await call.services.volumes.usage()]


# -- prunes ----------------------------------------------------------------------------------


async def prune_containers(call: Call) -> web.StreamResponse:
    """`POST /containers/prune`."""
    pruned = await call.services.prunes.containers(call.filters())
    return call.json_answer(
        shapes.ContainersPruned(
            ContainersDeleted=list(pruned.deleted) or None, SpaceReclaimed=pruned.freed_bytes
        )
    )


async def prune_images(call: Call) -> web.StreamResponse:
    """`POST /images/prune`."""
    pruned = await call.services.prunes.images(call.filters())
    return call.json_answer(
        shapes.ImagesPruned(
            ImagesDeleted=to_deletions(pruned.removals) or None, SpaceReclaimed=pruned.freed_bytes
        )
    )


async def prune_networks(call: Call) -> web.StreamResponse:
    """`POST /networks/prune`."""
    pruned = await call.services.prunes.networks(call.filters())
    return call.json_answer(shapes.NetworksPruned(NetworksDeleted=list(pruned.deleted) or None))


async def prune_build_cache(call: Call) -> web.StreamResponse:
    """`POST /build/prune`."""
    gone = await call.services.builds.prune(to_cache_prune(call))
    return call.json_answer(
        shapes.BuildCachePruned(
            CachesDeleted=[each.shown_id for each in gone] or None,
            SpaceReclaimed=sum(each.size_bytes for each in gone if not each.is_shared),
        )
    )


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/system/df"): disk_usage,
    ("POST", "/containers/prune"): prune_containers,
    ("POST", "/images/prune"): prune_images,
    ("POST", "/networks/prune"): prune_networks,
    ("POST", "/build/prune"): prune_build_cache,
}
