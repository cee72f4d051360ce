"""Connections that become BuildKit's: of a client that calls, and of one that is called."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler, SessionOffer
from wherry.api.errors import Refusal
from wherry.api.hijack import TakenOver
from wherry.api.raw_connections import RawConnection, upgrade_head

_PROTOCOL = "h2c"


async def grpc(call: Call) -> web.StreamResponse:
    """`POST /grpc`: the client calls the builder."""
    await call.build_door().serve(_upgraded(call))
    return TakenOver()


async def session(call: Call) -> web.StreamResponse:
    """`POST /session`: the builder calls the client."""
    headers = call.request.headers
    session_id = headers.get("X-Docker-Expose-Session-Uuid", "")
    if not session_id:
        raise Refusal(400, "the session has no id (X-Docker-Expose-Session-Uuid)")
    methods = headers.getall("X-Docker-Expose-Session-Grpc-Method", [])
    offer = SessionOffer(
        session_id=session_id,
        shared_key=headers.get("X-Docker-Expose-Session-Sharedkey", ""),
        methods=frozenset(each.lower() for each in methods),
    )
    await call.build_door().join(_upgraded(call), offer)
    return TakenOver()


def _upgraded(call: Call) -> RawConnection:
    """Raises: Refusal for a request that asks for no upgrade, or another one."""
    asked = call.request.headers.get("Upgrade", "")
    if not asked:
        raise Refusal(400, "no upgrade protocol given (want Upgrade: h2c)")
    if asked.lower() != _PROTOCOL:
        raise Refusal(400, f"protocol {asked} not supported")
    return call.connection.take_over(upgrade_head(call.headers(), _PROTOCOL))


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/grpc"): grpc,
    ("POST", "/session"): session,
}
