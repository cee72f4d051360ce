"""Volumes and plugins: there are none, and that is the answer."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.errors import Refusal
from wherry.model.errors import InvalidValue
from wherry.wire.networks import VolumesAnswer

_FILTERS = frozenset({"dangling", "driver", "label", "name"})


async def list_volumes(call: Call) -> web.StreamResponse:
    """`GET /volumes`."""
    for key in call.filters():
        if key not in _FILTERS:
            raise InvalidValue(f"invalid filter '{key}'")
    return call.json_answer(VolumesAnswer(Volumes=[], Warnings=None))


async def find_volume(call: Call) -> web.StreamResponse:
    """`GET` and `DELETE /volumes/{name}`."""
    raise Refusal(404, f"get {call.parameter}: no such volume")


async def list_plugins(call: Call) -> web.StreamResponse:
    """`GET /plugins`."""
    return call.json_answer([])


async def find_plugin(call: Call) -> web.StreamResponse:
    """`GET /plugins/{name}/json`."""
    raise Refusal(404, f'plugin "{call.parameter}" not found')


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/volumes"): list_volumes,
    ("GET", "/volumes/{name}"): find_volume,
    ("DELETE", "/volumes/{name}"): find_volume,
    ("GET", "/plugins"): list_plugins,
    ("GET", "/plugins/{name...}/json"): find_plugin,
}
