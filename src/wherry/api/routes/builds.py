"""Building images: the classic door, which takes a context as a tar and tells step by step."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.build_parts import sent_parts
from wherry.api.call import Call, Handler
from wherry.api.routes.image_streams import stream_progress
from wherry.api.translate.build_transcript import transcript
from wherry.api.translate.builds import has_session, to_build_credentials, to_build_request
from wherry.kit.random_ids import new_id


async def build(call: Call) -> web.StreamResponse:
    """`POST /build`."""
    if has_session(call):
        return await _build_by_session(call)
    request = to_build_request(call)
    credentials = to_build_credentials(call.request.headers.get("X-Registry-Config", ""))
    with call.ended_by_farewell():
        events = call.services.builds.build(request, sent_parts(call), credentials)
        return await stream_progress(call, transcript(events, is_quiet=request.is_quiet))


async def _build_by_session(call: Call) -> web.StreamResponse:
    # These clients never end when they are refused before their session has come.
    await call.build_door().joined(call.text("session"))
    request = to_build_request(call)
    ref = call.text("buildid") or new_id()
    told = call.build_door().build(ref, call.text("session"), request)
    with call.ended_by_farewell():
        return await stream_progress(call, told)


ROUTES: Mapping[tuple[str, str], Handler] = {("POST", "/build"): build}
