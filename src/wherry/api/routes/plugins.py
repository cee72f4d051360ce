"""Managed plugins."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.routes.image_streams import stream_progress
from wherry.api.routes.registries import AUTH_HEADER
from wherry.api.services import Plugins
from wherry.api.translate.plugins import to_plugin_answer, to_privilege_answer, to_privileges
from wherry.api.translate.registries import from_header
from wherry.registry import Credentials
from wherry.wire.lenient import Decoder
from wherry.wire.plugins import Privilege

_privileges = Decoder(list[Privilege])
_wishes = Decoder(list[str])


async def list_plugins(call: Call) -> web.StreamResponse:
    """`GET /plugins`."""
    found = await _plugins(call).list(call.filters())
    return call.json_answer([to_plugin_answer(each) for each in found])


async def inspect(call: Call) -> web.StreamResponse:
    """`GET /plugins/{name}/json`."""
    return call.json_answer(to_plugin_answer(await _plugins(call).get(call.parameter)))


async def privileges(call: Call) -> web.StreamResponse:
    """`GET /plugins/privileges`: what one in a registry wants of the host."""
    wanted = await _plugins(call).privileges(call.text("remote"), _credentials(call))
    return call.json_answer([to_privilege_answer(each) for each in wanted])


async def pull(call: Call) -> web.StreamResponse:
    """`POST /plugins/pull`: the body is what is allowed."""
    allowed = to_privileges(await call.json(_privileges) or [])
    remote, name = call.text("remote"), call.text("name")
    messages = _plugins(call).pull(remote, name, allowed, _credentials(call))
    # The client enables it under this name.
    return await stream_progress(call, messages, {"Docker-Plugin-Name": name or remote})


async def upgrade(call: Call) -> web.StreamResponse:
    """`POST /plugins/{name}/upgrade`."""
    allowed = to_privileges(await call.json(_privileges) or [])
    messages = _plugins(call).upgrade(
        call.parameter, call.text("remote"), allowed, _credentials(call)
    )
    return await stream_progress(call, messages)


async def create(call: Call) -> web.StreamResponse:
    """`POST /plugins/create`: the body is a tar of `config.json` and `rootfs`."""
    await _plugins(call).create(call.text("name"), call.body_stream())
    return call.empty_answer()


async def enable(call: Call) -> web.StreamResponse:
    """`POST /plugins/{name}/enable`."""
    await _plugins(call).enable(call.parameter, call.integer("timeout") or 0)
    return call.empty_answer(200)


async def disable(call: Call) -> web.StreamResponse:
    """`POST /plugins/{name}/disable`."""
    await _plugins(call).disable(call.parameter, is_forced=call.flag("force"))
    return call.empty_answer(200)


async def set_(call: Call) -> web.StreamResponse:
    """`POST /plugins/{name}/set`."""
    await _plugins(call).set(call.parameter, await call.json(_wishes) or [])
    return call.empty_answer()


async def push(call: Call) -> web.StreamResponse:
    """`POST /plugins/{name}/push`."""
    return await stream_progress(call, _plugins(call).push(call.parameter, _credentials(call)))


async def remove(call: Call) -> web.StreamResponse:
    """`DELETE /plugins/{name}`: what it was."""
    removed = await _plugins(call).remove(call.parameter, is_forced=call.flag("force"))
    return call.json_answer(to_plugin_answer(removed))


def _plugins(call: Call) -> Plugins:
    return call.services.plugins()


def _credentials(call: Call) -> Credentials:
    return from_header(call.request.headers.get(AUTH_HEADER, ""))


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/plugins"): list_plugins,
    ("GET", "/plugins/privileges"): privileges,
    ("POST", "/plugins/pull"): pull,
    ("POST", "/plugins/create"): create,
    ("GET", "/plugins/{name...}/json"): inspect,
    ("DELETE", "/plugins/{name...}"): remove,
    ("POST", "/plugins/{name...}/enable"): enable,
    ("POST", "/plugins/{name...}/disable"): disable,
    ("POST", "/plugins/{name...}/upgrade"): upgrade,
    ("POST", "/plugins/{name...}/push"): push,
    ("POST", "/plugins/{name...}/set"): set_,
}
