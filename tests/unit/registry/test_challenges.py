"""What registries demand, in the many ways that they write it."""

import pytest

from wherry.registry.challenges import parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/token",
                        "service": "s",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'Basic realm="a", Bearer realm="b",service="c"',
            [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "service": "c"})],
        ),
        ("BEARER Realm=plain , x=1", [("bearer", {"realm": "plain", "x": "1"})]),
        (r'Basic realm="a \"quoted\" word"', [("basic", {"realm": 'a "quoted" word'})]),
        ("Negotiate", [("negotiate", {})]),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Bearer realm="first", realm="second"', [("bearer", {"realm": "first"})]),
        ("", []),
        ('="', []),
        ('Bearer realm="never closed', [("bearer", {})]),
    ],
)
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    """Quotes, blanks, several schemes in a header, and nonsense."""
    found = [(each.scheme, dict(each.parameters)) for each in parse_challenges([header])]
    assert found == expected


def test_a_huge_header_is_read_in_no_time() -> None:
    """A header of a megabyte costs no more than its first part."""
    assert len(parse_challenges(["Basic realm=x, " * 100_000])) < 1000
