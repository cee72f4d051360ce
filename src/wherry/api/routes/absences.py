"""Documented endpoints that are not served yet: each answers 501 and says which."""

from collections.abc import Mapping

from aiohttp import web

from wherry.api.call import Call, Handler
from wherry.model.errors import FeatureMissing

_FEATURES: Mapping[tuple[str, str], str] = {}
"""None, since every endpoint of 1.51 is served."""


def _refusing(feature: str) -> Handler:
    async def refuse(call: Call) -> web.StreamResponse:
        raise FeatureMissing(feature)

    return refuse


ROUTES: Mapping[tuple[str, str], Handler] = {
    endpoint: _refusing(feature) for endpoint, feature in _FEATURES.items()
}
