"""Containers: changing what they may use."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.limits import discarded_limits
from wherry.api.translate.updates import to_changes
from wherry.wire.container_config import UpdateAnswer, UpdateRequest
from wherry.wire.lenient import Decoder

_update_request = Decoder(UpdateRequest)


async def update(call: Call) -> web.StreamResponse:
    """`POST /containers/{id}/update`."""
    request = await call.json(_update_request) or UpdateRequest()
    warnings = await call.services.containers.update(call.parameter, to_changes(request))
    every = [*warnings, *discarded_limits(request)]
    return call.json_answer(UpdateAnswer(Warnings=every or None))


ROUTES: Mapping[tuple[str, str], Handler] = {("POST", "/containers/{id}/update"): update}
