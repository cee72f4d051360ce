"""Networks."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.translate.networks import (
    to_connection,
    to_network_answer,
    to_network_request,
)
from wherry.wire.lenient import Decoder
from wherry.wire.networks import (
    ConnectRequest,
    DisconnectRequest,
    NetworkCreateAnswer,
    NetworkCreateRequest,
)

_CREATE = Decoder(NetworkCreateRequest)
_CONNECT = Decoder(ConnectRequest)
_DISCONNECT = Decoder(DisconnectRequest)


async def list_networks(call: Call) -> web.StreamResponse:
    """`GET /networks`; a list leaves out who is connected, as Docker's does."""
    networks = await call.services.networks.list(call.filters())
    return call.json_answer([to_network_answer(network, ()) for network in networks])


async def inspect_network(call: Call) -> web.StreamResponse:
    """`GET /networks/{id}`."""
    network = await call.services.networks.get(call.parameter)
    containers = await call.services.networks.containers_on(network)
    return call.json_answer(to_network_answer(network, containers))


async def create_network(call: Call) -> web.StreamResponse:
    """`POST /networks/create`."""
    request = to_network_request(await call.json(_CREATE) or NetworkCreateRequest())
    network = await call.services.networks.create(request)
    return call.json_answer(NetworkCreateAnswer(Id=network.id), status=201)


async def remove_network(call: Call) -> web.StreamResponse:
    """`DELETE /networks/{id}`."""
    await call.services.networks.remove(call.parameter)
    return call.empty_answer(204)


async def connect(call: Call) -> web.StreamResponse:
    """`POST /networks/{id}/connect`."""
    request = await call.json(_CONNECT) or ConnectRequest()
    await call.services.networks.connect(call.parameter, request.Container, to_connection(request))
    return call.empty_answer(200)


async def disconnect(call: Call) -> web.StreamResponse:
    """`POST /networks/{id}/disconnect`."""
    request = await call.json(_DISCONNECT) or DisconnectRequest()
    await call.services.networks.disconnect(
        call.parameter, request.Container, is_forced=request.Force
    )
    return call.empty_answer(200)


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/networks"): list_networks,
    ("GET", "/networks/{id}"): inspect_network,
    ("POST", "/networks/create"): create_network,
    ("DELETE", "/networks/{id}"): remove_network,
    ("POST", "/networks/{id}/connect"): connect,
    ("POST", "/networks/{id}/disconnect"): disconnect,
}
