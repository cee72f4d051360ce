"""URLs without what nobody else may know."""

import pytest

from wherry.kit.urls import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ADD https://u:p%2F@h/x#y /x", "ADD https://xxxxx:xxxxx@h/x#y /x"),
        ("git clone ssh://git@h:22/r ssh://a@b", "git clone ssh://xxxxx:xxxxx@h:22/r ssh://xxxxx:xxxxx@b"),
        ("https://h/@x", "https://h/@x"),
        ("a@b", "a@b"),
    ],
)  # fmt: skip
def test_credentials(text: str, shown: str) -> None:
    """They go wherever they stand; what is no credential stays."""
    assert without_credentials(text) == shown
