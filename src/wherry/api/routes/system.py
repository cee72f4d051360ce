"""The engine as a whole: ping, version, info, events."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.system import to_event_message, to_info_answer, to_version_answer
from wherry.model.errors import InvalidValue
from wherry.wire.encoding import encode

_PATIENCE_S = 30.0
"""How long a client of a stream may read nothing."""

_PING_HEADERS = {
    "Builder-Version": "2",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}


async def ping(call: Call) -> web.StreamResponse:
    """`GET` and `HEAD /_ping`."""
    body = b"OK" if call.request.method == "GET" else b""
    answer = call.document_answer(body, "text/plain; charset=utf-8")
    answer.headers.update(_PING_HEADERS)
    return answer


async def version(call: Call) -> web.StreamResponse:
    """`GET /version`."""
    return call.json_answer(to_version_answer(await call.services.system.info()))


async def info(call: Call) -> web.StreamResponse:
    """`GET /info`."""
    return call.json_answer(to_info_answer(await call.services.system.info()))


async def events(call: Call) -> web.StreamResponse:
    """`GET /events`: a line for each event, sent at once."""
    since_ns, until_ns = call.moment("since"), call.moment("until")
    if since_ns is None and call.text("since"):
        since_ns = 0
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise InvalidValue(
            f"`since` time ({call.text('since')}) cannot be after `until` time "
            f"({call.text('until')})"
        )
    subscription = call.services.events.subscribe(
        since_ns=since_ns, until_ns=until_ns, filters=call.filters()
    )
    answer = await call.stream_answer()
    with call.ended_by_farewell():
        async for event in subscription:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await answer.write(encode(to_event_message(event)))
            except TimeoutError:
                # Whoever reads nothing for so long can't be told so either: the body ends without
                # its last chunk, which no client takes for a good end.
                if call.request.transport is not None:
                    call.request.transport.abort()
                raise ConnectionResetError("the client does not read its events") from None
    return answer


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/_ping"): ping,
    ("HEAD", "/_ping"): ping,
    ("GET", "/version"): version,
    ("GET", "/info"): info,
    ("GET", "/events"): events,
}
