"""Networks."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.networks import to_network_answer


async def list_networks(call: Call) -> web.StreamResponse:
    """`GET /networks`; a list leaves out who is connected, as Docker's does."""
    networks = await call.services.networks.list(call.filters())
    return call.json_answer([to_network_answer(network, ()) for network in networks])


async def inspect_network(call: Call) -> web.StreamResponse:
    """`GET /networks/{id}`."""
    network = await call.services.networks.get(call.parameter)
    containers = await call.services.networks.containers_on(network)
    return call.json_answer(to_network_answer(network, containers))


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/networks"): list_networks,
    ("GET", "/networks/{id}"): inspect_network,
}
