"""Looking at networks: whether a packet arrives, the map, and the packets themselves.

What these use is seldom wanted and loaded when it is.
"""

import os
from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.model.queries import ContainerQuery
from wherry.wire.lenient import Decoder

PCAPNG = "application/x-pcapng"


async def reach(call: Call) -> web.StreamResponse:
    """`POST /wherry/reach`: whether a packet arrives, and why not."""
    from wherry.api.translate.reaching import to_reach_answer, to_reach_question
    from wherry.wire.reaching import ReachRequest

    request = await call.json(Decoder(ReachRequest)) or ReachRequest()
    found = await call.services.sights.reach(to_reach_question(request))
    return call.json_answer(to_reach_answer(found))


async def network_map(call: Call) -> web.StreamResponse:
    """`GET /wherry/map`: all networks, all containers, and who is where."""
    from wherry.api.translate.reaching import to_map_answer

    networks = await call.services.networks.list(call.filters())
    containers = await call.services.containers.list(ContainerQuery(wants_all=True))
    return call.json_answer(to_map_answer(os.uname().nodename, networks, containers))


async def capture(call: Call) -> web.StreamResponse:
    """`GET /wherry/containers/{id}/capture`: every packet from now on, as a pcapng stream."""
    count = call.integer("count") or 0
    packets = await call.services.sights.capture(call.parameter, count=count)
    with call.ended_by_farewell():
        return await call.pieces_answer(packets, {}, PCAPNG)


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/wherry/reach"): reach,
    ("GET", "/wherry/map"): network_map,
    ("GET", "/wherry/containers/{id}/capture"): capture,
}
