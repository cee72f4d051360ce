"""Filters, content types and versions are read as Docker reads them."""

import pytest

from wherry.wire.filters import decode_filters
from wherry.wire.lenient import InvalidJson
from wherry.wire.media_types import MalformedMediaType, parse_media_type
from wherry.wire.versions import ApiVersion, looks_like_version, parse_version


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", {}),
        ("{}", {}),
        ('{"label":["a","b=c"]}', {"label": ("a", "b=c")}),
        ('{"label":{"a":true}}', {"label": ("a",)}),
        ('{"label":{"a":false}}', {"label": ("a",)}),
        ('{"status":[]}', {"status": ()}),
    ],
)
def test_filters_in_both_spellings(text: str, filters: dict[str, tuple[str, ...]]) -> None:
    """A map of claims or a list of values."""
    assert decode_filters(text) == filters


@pytest.mark.parametrize("text", ["{bad", "[]", "5", '{"a":5}', '{"a":[5]}', '"x"', "\x00"])
def test_bad_filters_are_refused(text: str) -> None:
    """What is neither spelling is no filter."""
    with pytest.raises(InvalidJson, match=r"^invalid filter$"):
        decode_filters(text)


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("application/json", "application/json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        ('text/plain; a="b;c"; d=e', "text/plain"),
        ("application/json;", "application/json"),
    ],
)
def test_content_types(header: str, media_type: str) -> None:
    """Case and parameters don't matter."""
    assert parse_media_type(header) == media_type


@pytest.mark.parametrize(
    "header",
    ["", " ", "json", "application/", "a/b c", "a/b; c", "a/b; c=d; C=e", "a/b; =x", "/json"],
)
def test_malformed_content_types(header: str) -> None:
    """What Go's mime package refuses is refused."""
    with pytest.raises(MalformedMediaType, match=r"^mime: "):
        parse_media_type(header)


def test_versions_are_ordered_as_numbers() -> None:
    """1.9 is older than 1.41."""
    assert parse_version("1.9") < parse_version("1.41") == ApiVersion(1, 41)
    assert parse_version("1.41.1") == ApiVersion(1, 41)
    assert str(ApiVersion(1, 51)) == "1.51"


@pytest.mark.parametrize(
    ("segment", "is_version"),
    [("v1.41", True), ("v1", True), ("vlatest", False), ("volumes", False), ("v", False),
     ("v1.41\n", False), ("1.41", False), ("v\u0661.\u0664", False)],
)  # fmt: skip
def test_version_segments(segment: str, is_version: bool) -> None:
    """Only `v` with ASCII digits and dots is a version's place."""
    assert looks_like_version(segment) is is_version
