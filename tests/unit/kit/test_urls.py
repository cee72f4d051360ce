"""URLs without what nobody else may know; addresses that can be read back."""

import pytest

from wherry.kit.urls import with_port, without_credentials


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


def test_ports() -> None:
    """The colons of an IPv6 address are told from the port's."""
    assert [with_port(each, 80) for each in ("db", "0.0.0.0", "::1")] == [
        "db:80", "0.0.0.0:80", "[::1]:80",
    ]  # fmt: skip
