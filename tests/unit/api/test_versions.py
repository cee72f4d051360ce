"""The version ladder."""

import ast
from typing import Any

import pytest

from support.source_tree import modules
from wherry.api import served_endpoints, versions
from wherry.api.errors import Refusal
from wherry.wire.versions import NEWEST, ApiVersion

TOO_OLD = (
    "client version {} is too old. Minimum supported API version is 1.24, please upgrade your "
    "client to a newer version"
)
TOO_NEW = "client version {} is too new. Maximum supported API version is 1.51"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1.23", TOO_OLD),
        ("0.1", TOO_OLD),
        ("1", TOO_OLD),
        ("", TOO_OLD),
        ("..", TOO_OLD),
        ("1.52", TOO_NEW),
        ("1.99", TOO_NEW),
        ("2.0", TOO_NEW),
        ("99999999.1", TOO_NEW),
    ],
)
def test_versions_that_are_not_ours(text: str, sentence: str) -> None:
    """Refused in Docker's words."""
    with pytest.raises(Refusal) as refusal:
        versions.admit(text)
    assert (refusal.value.status, refusal.value.message) == (400, sentence.format(text))


@pytest.mark.parametrize("text", ["1.24", "1.41", "1.41.1", "1.51"])
def test_versions_that_are_ours(text: str) -> None:
    """All between the oldest and the newest."""
    assert str(versions.admit(text)) == text[:4]


def test_the_newest_version_changes_nothing() -> None:
    """Answers are made for it."""
    for rung in versions.LADDER:
        for endpoint in rung.downgrade_response:
            assert versions.response_steps(endpoint, NEWEST) == ()


def test_the_ladder_goes_down() -> None:
    """Rungs are in order, so that each step sees what the one above it made."""
    order = [rung.version for rung in versions.LADDER]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order)


def test_rungs_are_about_endpoints_that_are_served() -> None:
    """A step for a misspelt endpoint would never be taken."""
    served = {" ".join(endpoint) for endpoint in served_endpoints()}
    assert {each for rung in versions.LADDER for each in rung.downgrade_response} <= served


@pytest.mark.parametrize(
    ("endpoint", "version", "document", "expected"),
    [
        (
            "GET /images/json",
            ApiVersion(1, 43),
            [{"Size": 5}],
            [{"Size": 5, "VirtualSize": 5}],
        ),
        ("GET /images/json", ApiVersion(1, 44), [{"Size": 5}], [{"Size": 5}]),
        (
            "GET /networks",
            ApiVersion(1, 47),
            [{"Name": "bridge", "EnableIPv4": True}],
            [{"Name": "bridge"}],
        ),
        (
            "POST /containers/{id}/wait",
            ApiVersion(1, 41),
            {"StatusCode": 0},
            {"StatusCode": 0, "Error": None},
        ),
        (
            "GET /version",
            ApiVersion(1, 24),
            {"Platform": {}, "Components": [], "MinAPIVersion": "1.24", "Os": "linux"},
            {"Os": "linux"},
        ),
    ],
)
def test_steps(endpoint: str, version: ApiVersion, document: Any, expected: Any) -> None:
    """An older client sees what its version had."""
    steps = versions.response_steps(endpoint, version)
    assert versions.downgrade(steps, document) == expected


def test_framed_streams_are_told_apart_since_1_42() -> None:
    """Older clients would not know the content type."""
    assert versions.traits(ApiVersion(1, 42)).names_multiplexed_streams
    assert not versions.traits(ApiVersion(1, 41)).names_multiplexed_streams


def test_versions_are_compared_on_the_ladder_alone() -> None:
    """Nowhere else does the code ask how old a client is."""
    trespasses = [
        module.at(node.lineno)
        for module in modules()
        if module.room == "api" and not module.name.startswith("wherry.api.versions")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Compare) and "version" in ast.unparse(node).lower()
    ]
    assert not trespasses, "\n".join(trespasses)
