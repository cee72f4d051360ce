"""Images: lists, inspection, names, removal."""

import re
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.images import (
    NOT_COUNTED,
    to_deletions,
    to_history,
    to_image_answer,
    to_image_summary,
)
from wherry.model.errors import InvalidValue

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


async def list_images(call: Call) -> web.StreamResponse:
    """`GET /images/json`; what is shared is measured only when asked for, as in Docker."""
    filters = dict(call.filters())
    if call.text("filter"):
        filters["reference"] = (*filters.get("reference", ()), call.text("filter"))
    images = await call.services.images.list(filters, wants_all=call.flag("all"))
    sizes = await call.services.disk_usage.of_images() if call.flag("shared-size") else {}
    shared = {image: replace(each, containers=NOT_COUNTED) for image, each in sizes.items()}
    return call.json_answer([to_image_summary(each, shared.get(each.id)) for each in images])


async def inspect(call: Call) -> web.StreamResponse:
    """`GET /images/{name}/json`."""
    image = await call.services.images.get(call.parameter)
    driver, graph_data = await call.services.images.graph_data(image)
    return call.json_answer(to_image_answer(image, driver, graph_data))


async def history(call: Call) -> web.StreamResponse:
    """`GET /images/{name}/history`."""
    return call.json_answer(to_history(await call.services.images.get(call.parameter)))


async def tag(call: Call) -> web.StreamResponse:
    """`POST /images/{name}/tag`."""
    if call.text("tag") and not _TAG.fullmatch(call.text("tag")):
        raise InvalidValue("invalid tag format")
    await call.services.images.tag(
        call.parameter, repository=call.text("repo"), tag=call.text("tag")
    )
    return call.empty_answer(201)


async def remove(call: Call) -> web.StreamResponse:
    """`DELETE /images/{name}`."""
    steps = await call.services.images.remove(
        call.parameter, is_forced=call.flag("force"), prunes_parents=not call.flag("noprune")
    )
    return call.json_answer(to_deletions(steps))


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/images/json"): list_images,
    ("GET", "/images/{name...}/json"): inspect,
    ("GET", "/images/{name...}/history"): history,
    ("POST", "/images/{name...}/tag"): tag,
    ("DELETE", "/images/{name...}"): remove,
}
