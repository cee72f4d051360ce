"""Every documented endpoint of the Engine API is served, or known to be absent."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from wherry.api import absent_endpoints, routes, served_endpoints

UNDOCUMENTED = {"/grpc"}
"""What dockerd serves and the document leaves out."""
DOCUMENTED = Path(__file__).with_name("endpoints-1.51.txt")


def documented_endpoints() -> set[tuple[str, str]]:
    """Method and path of each operation of the API's document."""
    lines = DOCUMENTED.read_text().splitlines()
    return {
        (method, _without_names(path))
        for method, path in (line.split() for line in lines if not line.startswith("#"))
    }


def test_every_endpoint_is_served_or_known_absent() -> None:
    """Nothing of the document is forgotten, and nothing is both."""
    served = {(method, _without_names(path)) for method, path in served_endpoints()}
    absent = {(method, _without_names(path)) for method, path in absent_endpoints()}
    forgotten = documented_endpoints() - served - absent
    assert not forgotten
    assert not served & absent


def test_every_endpoint_is_found_by_the_first_word_of_its_path() -> None:
    """A module that begins to answer below another word has to say so."""
    modules = [each.name for each in iter_modules(routes.__path__)]
    tables = [import_module(f"{routes.__name__}.{each}").ROUTES for each in modules]
    for method, path in (endpoint for table in tables for endpoint in table):
        assert (method, path) in routes.handlers_below(routes.first_word(path))


def test_what_is_served_beyond_is_our_own() -> None:
    """Endpoints that the document does not have are under /wherry, or dockerd's as well."""
    beyond = {
        (method, path)
        for method, path in served_endpoints()
        if (method, _without_names(path)) not in documented_endpoints()
        and not path.startswith("/wherry/")
        and path not in UNDOCUMENTED
    }
    assert not beyond


def _without_names(path: str) -> str:
    """A path whose parameters have lost their names: /containers/{}/json."""
    parts = path.split("/")
    return "/".join("{}" if part.startswith("{") else part for part in parts)
