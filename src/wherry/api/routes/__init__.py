"""All endpoints: one module per noun, each with its own part of the table.

A noun's modules are loaded for the first request below its word: an engine that nobody has asked
for a network's, a plugin's or a build's matters has no memory of how to answer them, which is
1 MiB in all.

`absences` holds those that are documented and not served yet; they answer 501 and name
themselves, or say what Docker says without a swarm.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

from wherry.api.call import Handler
from wherry.api.router import GREEDY

Endpoint = tuple[str, str]

_ABSENCES = "absences"
_WORDS: Mapping[str, tuple[str, ...]] = {
    "system": ("_ping", "version", "info", "events"),
    "containers": ("containers",),
    "container_files": ("containers", "commit"),
    "container_streams": ("containers",),
    "stats": ("containers",),
    "updates": ("containers",),
    "execs": ("containers", "exec"),
    "images": ("images",),
    "image_streams": ("images",),
    "registries": ("auth", "distribution", "images"),
    "networks": ("networks",),
    "volumes": ("volumes",),
    "prunes": ("build", "containers", "images", "networks", "system"),
    "builds": ("build", "wherry"),
    "build_sessions": ("grpc", "session"),
    "plugins": ("plugins",),
    "swarm": ("configs", "nodes", "secrets", "services", "swarm", "tasks"),
    "sights": ("wherry",),
    "volume_history": ("wherry",),
    "wherry": ("wherry",),
}
"""The modules, and the words that paths of their endpoints begin with."""


def handlers_below(word: str) -> Mapping[Endpoint, Handler]:
    """The endpoints whose paths begin with a word."""
    modules = [module for module, words in _WORDS.items() if word in words]
    routes = {key: handler for each in (*modules, _ABSENCES) for key, handler in _routes(each)}
    return {(method, path): x for (method, path), x in routes.items() if first_word(path) == word}


def first_word(path: str) -> str:
    """What a path begins with, of which all below it depends."""
    return path[1:].partition("/")[0]


def served_endpoints() -> frozenset[Endpoint]:
    """What is served, in the documentation's writing."""
    served = {key: None for each in _WORDS for key, _ in _routes(each)}
    return frozenset(documented(endpoint) for endpoint in served)


def absent_endpoints() -> frozenset[Endpoint]:
    """What is documented and answers 501."""
    return frozenset(documented(endpoint) for endpoint, _ in _routes(_ABSENCES))


def documented(endpoint: Endpoint) -> Endpoint:
    """Method and path template as the API's documentation writes them."""
    method, template = endpoint
    # A container has a slash in its name where a link is meant: `DELETE /containers/web/store`.
    written = "{id}" if template.startswith("/containers/") else "{name}"
    return method, template.replace(GREEDY, written)


def _routes(module: str) -> Iterator[tuple[Endpoint, Handler]]:
    """A module's part of the table."""
    routes: Mapping[Endpoint, Handler] = import_module(f"{__name__}.{module}").ROUTES
    yield from routes.items()
