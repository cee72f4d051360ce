"""Registries: pushes, logins, look-ups, searches; pulls are `POST /images/create`."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.api.routes.image_streams import stream_progress
from wherry.api.translate.platforms import platform_text
from wherry.api.translate.references import untagged
from wherry.api.translate.registries import (
    from_header,
    to_credentials,
    to_distribution_answer,
    to_search_items,
)
from wherry.model.errors import InvalidValue
from wherry.wire.lenient import Decoder
from wherry.wire.registries import AuthAnswer, AuthConfig

AUTH_HEADER = "X-Registry-Auth"
_AUTH = Decoder(AuthConfig)
_DEFAULT_LIMIT = 25
_FILTERS = frozenset({"is-automated", "is-official", "stars"})


async def push(call: Call) -> web.StreamResponse:
    """`POST /images/{name}/push`."""
    tag = call.text("tag")
    messages = call.services.registries.push(
        untagged(call.parameter, tag),
        tag=tag,
        credentials=from_header(call.request.headers.get(AUTH_HEADER, "")),
        platform=platform_text(call.text("platform")),
    )
    return await stream_progress(call, messages)


async def log_in(call: Call) -> web.StreamResponse:
    """`POST /auth`."""
    config = await call.json(_AUTH) or AuthConfig()
    login = await call.services.registries.log_in(config.serveraddress, to_credentials(config))
    return call.json_answer(
        AuthAnswer(Status="Login Succeeded", IdentityToken=login.identity_token)
    )


async def look_up(call: Call) -> web.StreamResponse:
    """`GET /distribution/{name}/json`."""
    credentials = from_header(call.request.headers.get(AUTH_HEADER, ""))
    return call.json_answer(
        to_distribution_answer(
            await call.services.registries.distribution(call.parameter, credentials)
        )
    )


async def search(call: Call) -> web.StreamResponse:
    """`GET /images/search`."""
    limit = call.integer("limit")
    limit = _DEFAULT_LIMIT if limit is None else limit
    if not 1 <= limit <= 100:
        raise InvalidValue(f"limit {limit} is outside the range of [1, 100]")
    filters = call.filters()
    unknown = sorted(set(filters) - _FILTERS)
    if unknown:
        raise InvalidValue(f"invalid filter '{unknown[0]}'")
    found = await call.services.registries.search(
        call.text("term"),
        limit=limit,
        credentials=from_header(call.request.headers.get(AUTH_HEADER, "")),
    )
    stars = max((int(each) for each in filters.get("stars", ()) if each.isdigit()), default=0)
    official = filters.get("is-official", ())
    return call.json_answer(
        to_search_items(
            [
                each
                for each in found
                if each.star_count >= stars
                and (not official or str(each.is_official).lower() in official)
            ]
        )
    )


ROUTES: Mapping[tuple[str, str], Handler] = {
    ("POST", "/images/{name...}/push"): push,
    ("POST", "/auth"): log_in,
    ("GET", "/distribution/{name...}/json"): look_up,
    ("GET", "/images/search"): search,
}
