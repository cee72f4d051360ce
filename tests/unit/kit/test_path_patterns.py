"""`.dockerignore`."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.kit.path_patterns import BadPattern, Ignore, read_ignore


@pytest.mark.parametrize(
    ("patterns", "path", "is_excluded"),
    [
        ("a", "a", True),
        ("a", "a/b", True),
        ("a", "b/a", False),
        ("**/a", "b/c/a", True),
        ("**/a", "a", True),
        ("*.md", "x.md", True),
        ("*.md", "d/x.md", False),
        ("**/*.md", "d/x.md", True),
        ("*/temp*", "d/temporary", True),
        ("*/*/temp*", "d/temporary", False),
        ("temp?", "tempa", True),
        ("temp?", "temp", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README.md", "OTHER.md", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("d\n!d/keep", "d/keep", False),
        ("d/**", "d/x/y", True),
        ("d/**", "d", False),
        ("/a/", "a", True),
        ("./a", "a", True),
        ("# a", "# a", False),
        ("*", "x", True),
        ("**", "x/y", True),
    ],
)
def test_patterns(patterns: str, path: str, is_excluded: bool) -> None:
    """As Docker's documentation has them."""
    assert Ignore(read_ignore(patterns.encode())).excludes(path) is is_excluded


def test_a_pattern_that_is_none() -> None:
    """An open bracket is refused."""
    with pytest.raises(BadPattern):
        Ignore(["[a"])


def test_stars_cost_no_more_than_their_number() -> None:
    """A pattern that makes a backtracking matcher run for ever."""
    ignore = Ignore(["**/*/" * 200 + "x", "*a" * 500])
    begin = time.process_time()
    assert not ignore.excludes("/".join(["a" * 200] * 200))
    assert time.process_time() - begin < 10


@given(st.text(alphabet="ab*?/[]!\\-", max_size=30), st.text(alphabet="ab/", max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_pattern_matches_or_is_refused(pattern: str, path: str) -> None:
    """Nothing but a refusal ever comes out."""
    with suppress(BadPattern):
        Ignore(read_ignore(pattern.encode())).excludes(path)
