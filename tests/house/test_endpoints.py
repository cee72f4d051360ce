"""Every documented endpoint of the Engine API is served, or known to be absent."""

from pathlib import Path

from wherry.api import absent_endpoints, served_endpoints

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
