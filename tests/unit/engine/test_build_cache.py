"""What goes when the build cache is pruned."""

from dataclasses import replace

import pytest

from wherry.engine.build_cache import chosen, matching
from wherry.model.builds import CachePrune, CacheRecord

OLD, NEW, SHARED, USED = (
    CacheRecord(
        key=name,
        description=name,
        size_bytes=100,
        created_at_ns=0,
        used_at_ns=moment,
        use_count=1,
    )
    for moment, name in enumerate(("old", "new", "shared", "used"))
)
SHARED = replace(SHARED, is_shared=True)
USED = replace(USED, is_in_use=True)
ALL = (NEW, USED, OLD, SHARED)


@pytest.mark.parametrize(
    ("wish", "gone"),
    [
        (CachePrune(), [OLD, NEW]),
        (CachePrune(takes_all=True), [OLD, NEW, SHARED]),
        (CachePrune(most_bytes=200), [OLD]),
        (CachePrune(most_bytes=300), []),
        (CachePrune(most_bytes=100, reserved_bytes=200), [OLD]),
        (CachePrune(reserved_bytes=200), [OLD]),
        (CachePrune(least_free_bytes=150), [OLD]),
        (CachePrune(least_free_bytes=1000), [OLD, NEW]),
        (CachePrune(least_free_bytes=1000, reserved_bytes=250), [OLD]),
    ],
)
def test_the_least_recently_used_go_first(wish: CachePrune, gone: list[CacheRecord]) -> None:
    """What is in use stays, and so does what an image shares; limits say how many go."""
    assert chosen(ALL, ALL, wish, 50) == gone


def test_nothing_has_a_label() -> None:
    """The filter that `system prune` has for all kinds spares a cache, or takes it for what it
    has not."""
    for filters, found in (({"label": ["x"]}, []), ({"label!": ["x"]}, ALL)):
        matches = matching(filters, now_ns=0)
        assert [each for each in ALL if matches(each)] == list(found)
