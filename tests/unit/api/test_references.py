"""Names and tags that a request gives apart."""

import pytest

from wherry.api.translate.references import tagged, untagged

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("name", "tag", "reference"),
    [
        ("busybox", "", "busybox"),
        ("busybox:1", "", "busybox:1"),
        ("busybox", "1", "busybox:1"),
        ("busybox:1", "2", "busybox:2"),
        ("localhost:5000/busybox", "1", "localhost:5000/busybox:1"),
        ("localhost:5000/busybox:1", "2", "localhost:5000/busybox:2"),
        ("busybox", DIGEST, f"busybox@{DIGEST}"),
        ("", "1", ""),
    ],
)
def test_a_tag_beside_a_name(name: str, tag: str, reference: str) -> None:
    """The tag beside the name counts, as in Docker."""
    assert tagged(name, tag) == reference


def test_the_name_alone() -> None:
    """It loses its tag only where there is another beside it."""
    assert untagged("localhost:5000/busybox:1", "2") == "localhost:5000/busybox"
    assert untagged("busybox:1", "") == "busybox:1"
