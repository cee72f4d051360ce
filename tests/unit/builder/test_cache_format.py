"""Cache documents, ours and BuildKit's."""

import json

import pytest

from wherry.builder.cache.format import (
    CachedLayer,
    CacheDocument,
    CachedResult,
    decode_cache,
    encode_cache,
)
from wherry.oci.image_spec import Descriptor

LAYER = CachedLayer(
    blob=Descriptor(media_type="t", digest="sha256:" + "a" * 64, size=3),
    diff_id="sha256:" + "b" * 64,
)
OURS = CacheDocument(
    layers=[LAYER],
    results=[
        CachedResult(key="base", created_at_ns=5),
        CachedResult(key="step", below=0, top=0, created_at_ns=1_000_000_007),
        CachedResult(key="env", below=1, top=0, created_at_ns=2_000_000_000),
    ],
)


def test_what_is_written_is_read() -> None:
    """With times to the nanosecond; the same cache gives the same bytes."""
    assert decode_cache(encode_cache(OURS)) == OURS
    assert encode_cache(OURS) == encode_cache(decode_cache(encode_cache(OURS)))


def test_a_cache_of_buildkit_is_understood() -> None:
    """Layers in the order of their digests, chains, several inputs, and times left out."""
    theirs = {
        "layers": [
            {"blob": "sha256:" + "1" * 64, "parent": 1, "annotations": {"size": 9}},
            {"blob": "sha256:" + "2" * 64, "parent": -1, "annotations": {"diffID": "x"}},
        ],
        "records": [
            {"digest": "sha256:" + "3" * 64, "inputs": [[{"selector": "s", "link": 1}]] * 2,
             "layers": [{"layer": 0, "createdAt": "2024-01-02T03:04:05.6Z"}]},
            {"digest": "sha256:" + "4" * 64, "chains": [{"layers": [1, 0]}]},
        ],
    }  # fmt: skip
    found = decode_cache(json.dumps(theirs).encode())
    assert [(each.below, each.top) for each in found.results] == [(1, 0), (-1, 0)]


@pytest.mark.parametrize(
    "wrong",
    [
        b"[]",
        b"{",
        b'{"layers": [{}]}',
        b'{"records": [{"layers": [{"layer": 0}]}]}',
        b'{"records": [{"inputs": [[{"link": 1}]]}]}',
        b'{"records": [{"inputs": [{"link": 0}]}]}',
        b'{"records": [{"inputs": [["x"]]}]}',
        b'{"records": [{"chains": [{"layers": [], "createdAt": "yesterday"}]}]}',
        b'{"records": [{"chains": [{"layers": [], "createdAt": "9999-01-01T00:00:00Z"}]}]}',
        b'{"records": [{"chains": [{"layers": [], "createdAt": "1969-01-01T00:00:00Z"}]}]}',
    ],
)
def test_what_is_no_cache_is_refused(wrong: bytes) -> None:
    """By one complaint, whatever is wrong."""
    with pytest.raises(ValueError):
        decode_cache(wrong)
