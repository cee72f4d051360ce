"""Building images: the classic door, which takes a context as a tar and tells step by step."""

from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from wherry.api.build_parts import sent_parts
from wherry.api.call import Call, Handler
from wherry.api.routes.image_streams import stream_progress
from wherry.api.translate.build_transcript import transcript
from wherry.api.translate.builds import has_session, to_build_credentials, to_build_request
from wherry.kit.random_ids import new_id
from wherry.model.builds import BuildEvent, SentPart


async def build(call: Call) -> web.StreamResponse:
    """`POST /build`."""
    if has_session(call):
        return await _build_by_session(call)
    request = to_build_request(call)
    credentials = to_build_credentials(call.request.headers.get("X-Registry-Config", ""))

    def built(parts: AsyncIterator[SentPart]) -> AsyncIterator[BuildEvent]:
        return call.services.builds.build(request, parts, credentials)

    if call.flag("story"):
        from wherry.api.buildkit.told_builds import told_build

        messages = told_build(request, sent_parts(call), built, call.clock)
    else:
        messages = transcript(built(sent_parts(call)), is_quiet=request.is_quiet)
    with call.ended_by_farewell():
        return await stream_progress(call, messages)


async def _build_by_session(call: Call) -> web.StreamResponse:
    # These clients never end when they are refused before their session has come.
    await call.build_door().joined(call.text("session"))
    request = to_build_request(call)
    ref = call.text("buildid") or new_id()
    told = call.build_door().build(
        ref, call.text("session"), request, tells_result=call.flag("story")
    )
    with call.ended_by_farewell():
        return await stream_progress(call, told)


async def steps(call: Call) -> web.StreamResponse:
    """`GET /wherry/builds/{id}/steps`: why the steps of a build ran, and what they took."""
    return call.json_answer([*await call.build_door().steps(call.parameter)])


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/build"): build,
    ("GET", "/wherry/builds/{id}/steps"): steps,
}
