"""What only Wherry has: explanations, and images made without a registry."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.routes.container_streams import log_query, stream_lines
from wherry.api.routes.image_streams import stream_progress
from wherry.api.translate.reasons import to_reason_answer
from wherry.kit.timestamps import rfc3339_nano
from wherry.model.errors import InvalidField
from wherry.model.images import EmulatedPlatform
from wherry.wire.images import PlatformAnswer


async def explain_container(call: Call) -> web.StreamResponse:
    """`GET /wherry/containers/{id}/explain`: what was done to the kernel, and why."""
    form = call.text("format", "text")
    live = call.flag("live")
    explanations = call.services.explanations
    match form:
        case "json":
            return call.document_answer(
                await explanations.container_json(call.parameter, live=live)
            )
        case "text":
            text = await explanations.container_text(call.parameter, live=live)
        case "shell":
            if live:
                raise InvalidField("format", form, "has no live findings: use text or json")
            text = await explanations.container_script(call.parameter)
        case _:
            raise InvalidField("format", form, "must be text, json or shell")
    return call.document_answer(text.encode(), "text/plain; charset=utf-8")


async def why(call: Call) -> web.StreamResponse:
    """`GET /wherry/containers/{id}/why`: what ended a container, and how we know."""
    return call.json_answer(to_reason_answer(await call.services.reasons(call.parameter)))


async def removed_logs(call: Call) -> web.StreamResponse:
    """`GET /wherry/containers/{id}/removed-logs`: what a removed container wrote.

    Docker answers 404 for its logs, and so do we under its own path.
    """
    removed = await call.services.containers.logs_of_removed(call.parameter, log_query(call))
    headers = {
        "X-Wherry-Container": removed.name,
        "X-Wherry-Removed-At": rfc3339_nano(removed.removed_at_ns),
    }
    return await stream_lines(call, removed.batches, is_framed=not removed.is_tty, headers=headers)


async def bootstrap_image(call: Call) -> web.StreamResponse:
    """`POST /wherry/images/bootstrap`."""
    reference = call.text("reference")
    if not reference:
        raise InvalidField("reference", reference, "must name an image")
    return await stream_progress(call, call.services.image_archives.bootstrap(reference))


async def check_content(call: Call) -> web.StreamResponse:
    """`POST /wherry/check`: whether what images are made of is what it was."""
    return await stream_progress(call, call.services.images.check())


async def list_platforms(call: Call) -> web.StreamResponse:
    """`GET /wherry/platforms`."""
    return call.json_answer([_platform(each) for each in await call.services.platforms.list()])


async def enable_platform(call: Call) -> web.StreamResponse:
    """`POST /wherry/platforms/enable`."""
    return call.json_answer(_platform(await call.services.platforms.enable(call.text("platform"))))


async def disable_platform(call: Call) -> web.StreamResponse:
    """`POST /wherry/platforms/disable`."""
    changed = await call.services.platforms.disable(call.text("platform"))
    return call.json_answer(_platform(changed))


def _platform(found: EmulatedPlatform) -> PlatformAnswer:
    return PlatformAnswer(Platform=found.platform, Enabled=found.is_enabled, RunsBy=found.runs_by)


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/wherry/containers/{id}/explain"): explain_container,
    ("GET", "/wherry/containers/{id}/why"): why,
    ("GET", "/wherry/containers/{id}/removed-logs"): removed_logs,
    ("POST", "/wherry/images/bootstrap"): bootstrap_image,
    ("POST", "/wherry/check"): check_content,
    ("GET", "/wherry/platforms"): list_platforms,
    ("POST", "/wherry/platforms/enable"): enable_platform,
    ("POST", "/wherry/platforms/disable"): disable_platform,
}
