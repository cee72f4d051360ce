"""Paths lead to handlers."""

import pytest

from wherry.api.router import Router

ROUTES = (
    ("GET", "/containers/json"),
    ("POST", "/containers/create"),
    ("GET", "/containers/{id}/json"),
    ("DELETE", "/containers/{id}"),
    ("GET", "/images/json"),
    ("GET", "/images/{name...}/json"),
    ("GET", "/images/{name...}/get"),
    ("GET", "/images/get"),
    ("DELETE", "/images/{name...}"),
    ("GET", "/_ping"),
)
router = Router({route: route for route in ROUTES})


@pytest.mark.parametrize(
    ("method", "path", "template", "parameter"),
    [
        ("GET", "/_ping", "/_ping", ""),
        ("GET", "/containers/json", "/containers/json", ""),
        ("GET", "/containers/json/json", "/containers/{id}/json", "json"),
        ("DELETE", "/containers/create", "/containers/{id}", "create"),
        ("GET", "/images/busybox/json", "/images/{name...}/json", "busybox"),
        ("GET", "/images/reg/a/b:v1/json", "/images/{name...}/json", "reg/a/b:v1"),
        ("GET", "/images/json/json", "/images/{name...}/json", "json"),
        ("GET", "/images/json", "/images/json", ""),
        ("GET", "/images/a/get", "/images/{name...}/get", "a"),
        ("DELETE", "/images/json", "/images/{name...}", "json"),
        ("DELETE", "/images/a/json", "/images/{name...}", "a/json"),
    ],
)
def test_finds(method: str, path: str, template: str, parameter: str) -> None:
    """Fixed words first, names with slashes whole, and the method counts."""
    match = router.find(method, path)
    assert match is not None
    assert match.handler == (method, template)
    assert match.parameter == parameter


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ping"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "//containers/json"),
        ("GET", "/containers//json"),
        ("DELETE", "/containers/"),
        ("GET", "/containers/a/b/json"),
        ("GET", "/images//json"),
        ("PATCH", "/containers/json"),
        ("GET", "/nowhere"),
    ],
)
def test_does_not_find(method: str, path: str) -> None:
    """No empty names, no wrong methods, no half of a path."""
    assert router.find(method, path) is None
