"""Orchestration: every question gets Docker's answer of a node that is in no swarm."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.errors import Refusal
from wherry.model.errors import FeatureMissing

NOT_A_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)


async def refuse(call: Call) -> web.StreamResponse:
    """Any question that only a manager can answer."""
    raise Refusal(503, NOT_A_MANAGER)


async def refuse_to_leave(call: Call) -> web.StreamResponse:
    """There is nothing to leave."""
    raise Refusal(503, "This node is not part of a swarm")


async def refuse_to_form(call: Call) -> web.StreamResponse:
    """Making or joining a swarm."""
    raise FeatureMissing("swarms")


_MANAGER_ONLY = (
    ("GET", "/swarm"),
    ("POST", "/swarm/update"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/unlock"),
    ("GET", "/nodes"),
    ("GET", "/nodes/{id}"),
    ("DELETE", "/nodes/{id}"),
    ("POST", "/nodes/{id}/update"),
    ("GET", "/services"),
    ("POST", "/services/create"),
    ("GET", "/services/{id}"),
    ("DELETE", "/services/{id}"),
    ("POST", "/services/{id}/update"),
    ("GET", "/services/{id}/logs"),
    ("GET", "/tasks"),
    ("GET", "/tasks/{id}"),
    ("GET", "/tasks/{id}/logs"),
    ("GET", "/secrets"),
    ("POST", "/secrets/create"),
    ("GET", "/secrets/{id}"),
    ("DELETE", "/secrets/{id}"),
    ("POST", "/secrets/{id}/update"),
    ("GET", "/configs"),
    ("POST", "/configs/create"),
    ("GET", "/configs/{id}"),
    ("DELETE", "/configs/{id}"),
    ("POST", "/configs/{id}/update"),
)

ROUTES: Mapping[tuple[str, str], Handler] = {
    **dict.fromkeys(_MANAGER_ONLY, refuse),
    ("POST", "/swarm/leave"): refuse_to_leave,
    ("POST", "/swarm/init"): refuse_to_form,
    ("POST", "/swarm/join"): refuse_to_form,
}
