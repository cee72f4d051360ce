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


async def reach_all(call: Call) -> web.StreamResponse:
    """`GET /wherry/reach`: the same for every two that run, and every port that is listened on."""
    from wherry.api.translate.reaching import to_reach_answer

    found = await call.services.sights.reach_all(is_static=call.flag("static"))
    return call.json_answer([to_reach_answer(each) for each in found])


async def network_map(call: Call) -> web.StreamResponse:
    """`GET /wherry/map`: networks, containers, and who is where: all, or those with labels.

    A network without the labels is there when a container with them is on it.
    """
    from wherry.api.translate.reaching import to_map_answer

    filters = call.filters()
    query = ContainerQuery(wants_all=True, filters=filters)
    containers = await call.services.containers.list(query)
    wanted = {each.id for each in await call.services.networks.list(filters)}
    wanted |= {one.network_id for each in containers for one in each.endpoints}
    networks = [each for each in await call.services.networks.list({}) if each.id in wanted]
    return call.json_answer(to_map_answer(os.uname().nodename, networks, containers))


async def capture(call: Call) -> web.StreamResponse:
    """`GET /wherry/containers/{id}/capture`: packets from now on, as a pcapng stream."""
    count, expression = call.integer("count") or 0, call.text("filter")
    sights = call.services.sights
    packets = await sights.capture(call.parameter, count=count, expression=expression)
    with call.ended_by_farewell():
        return await call.pieces_answer(packets, {}, PCAPNG)


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/wherry/reach"): reach,
    ("GET", "/wherry/reach"): reach_all,
    ("GET", "/wherry/map"): network_map,
    ("GET", "/wherry/containers/{id}/capture"): capture,
}
