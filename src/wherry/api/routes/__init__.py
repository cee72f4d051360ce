"""All endpoints: one module per noun, each with its own part of the table.

`absences` holds those that are documented and not served yet; they answer 501 and name
themselves, or say what Docker says without a swarm.
"""

from collections.abc import Mapping

from wherry.api.call import Handler
from wherry.api.router import GREEDY
from wherry.api.routes import (
    absences,
    build_sessions,
    builds,
    container_files,
    container_streams,
    containers,
    execs,
    image_streams,
    images,
    networks,
    plugins,
    prunes,
    registries,
    sights,
    stats,
    swarm,
    system,
    updates,
    volume_history,
    volumes,
    wherry,
)

Endpoint = tuple[str, str]

_SERVED: Mapping[Endpoint, Handler] = {
    **system.ROUTES,
    **containers.ROUTES,
    **container_files.ROUTES,
    **container_streams.ROUTES,
    **execs.ROUTES,
    **images.ROUTES,
    **image_streams.ROUTES,
    **registries.ROUTES,
    **networks.ROUTES,
    **prunes.ROUTES,
    **builds.ROUTES,
    **sights.ROUTES,
    **build_sessions.ROUTES,
    **stats.ROUTES,
    **updates.ROUTES,
    **volumes.ROUTES,
    **plugins.ROUTES,
    **volume_history.ROUTES,
    **swarm.ROUTES,
    **wherry.ROUTES,
}

HANDLERS: Mapping[Endpoint, Handler] = {**_SERVED, **absences.ROUTES}


def served_endpoints() -> frozenset[Endpoint]:
    """What is served, in the documentation's writing."""
    return frozenset(documented(endpoint) for endpoint in _SERVED)


def absent_endpoints() -> frozenset[Endpoint]:
    """What is documented and answers 501."""
    return frozenset(documented(endpoint) for endpoint in absences.ROUTES)


def documented(endpoint: Endpoint) -> Endpoint:
    """Method and path template as the API's documentation writes them."""
    method, template = endpoint
    # A container has a slash in its name where a link is meant: `DELETE /containers/web/store`.
    written = "{id}" if template.startswith("/containers/") else "{name}"
    return method, template.replace(GREEDY, written)
