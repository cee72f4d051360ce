"""Images: lists, inspection, names, removal."""

import re
from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.images import (
    NOT_COUNTED,
    to_deletions,
    to_history,
    to_image_answer,
    to_image_summary,
    to_manifest,
)
from wherry.api.translate.platforms import platform_text
from wherry.api.translate.references import untagged
from wherry.kit.values import replace
from wherry.model.errors import InvalidValue
from wherry.wire.images import ManifestSummary

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


async def list_images(call: Call) -> web.StreamResponse:
    """`GET /images/json`; what is shared is measured only when asked for, as in Docker."""
    filters = dict(call.filters())
    if call.text("filter"):
        filters["reference"] = (*filters.get("reference", ()), call.text("filter"))
    images = await call.services.images.list(filters, wants_all=call.flag("all"))
    sizes = await call.services.disk_usage.of_images() if call.flag("shared-size") else {}
    shared = {image: replace(each, containers=NOT_COUNTED) for image, each in sizes.items()}
    summaries = [to_image_summary(each, shared.get(each.id)) for each in images]
    if call.flag("manifests"):
        for image, summary in zip(images, summaries, strict=True):
            summary.Manifests = await _manifests(call, *(image.references or (image.id,)))
    return call.json_answer(summaries)


async def _manifests(call: Call, *references: str) -> list[ManifestSummary]:
    return [to_manifest(each) for each in await call.services.images.siblings(references)]


async def inspect(call: Call) -> web.StreamResponse:
    """`GET /images/{name}/json`."""
    platform = platform_text(call.text("platform"))
    if platform and call.flag("manifests"):
        raise InvalidValue(
            "conflicting options: manifests and platform options cannot both be set"
        )
    image = await call.services.images.get(call.parameter, platform=platform)
    driver, graph_data = await call.services.images.graph_data(image)
    answer = to_image_answer(image, driver, graph_data)
    if call.flag("manifests"):
        answer.Manifests = await _manifests(call, call.parameter)
    return call.json_answer(answer)


async def history(call: Call) -> web.StreamResponse:
    """`GET /images/{name}/history`."""
    platform = platform_text(call.text("platform"))
    image = await call.services.images.get(call.parameter, platform=platform)
    return call.json_answer(to_history(image))


async def tag(call: Call) -> web.StreamResponse:
    """`POST /images/{name}/tag`."""
    repository, tag = call.text("repo"), call.text("tag")
    if tag and not _TAG.fullmatch(tag):
        raise InvalidValue("invalid tag format")
    await call.services.images.tag(call.parameter, repository=untagged(repository, tag), tag=tag)
    return call.empty_answer(201)


async def remove(call: Call) -> web.StreamResponse:
    """`DELETE /images/{name}`.

    `noprune` asks for what is so: no other image goes with one, an untagged parent neither.
    """
    steps = await call.services.images.remove(
        call.parameter,
        is_forced=call.flag("force"),
        platforms=[platform_text(each) for each in call.texts("platforms")],
    )
    return call.json_answer(to_deletions(steps))


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/images/json"): list_images,
    ("GET", "/images/{name...}/json"): inspect,
    ("GET", "/images/{name...}/history"): history,
    ("POST", "/images/{name...}/tag"): tag,
    ("DELETE", "/images/{name...}"): remove,
}
