"""Every slide of the course is talk, a named exception, or shown by a test."""

import re
from pathlib import Path

import pytest

from support.course import Chapter, outline

TESTS = Path(__file__).parents[1]
MOST_EXCEPTIONS = 25


def marked() -> set[tuple[int, int]]:
    """The slides that tests say they show."""
    found = set()
    for path in TESTS.rglob("test_*.py"):
        for words in re.findall(r"mark\.slide\(([^)]*)\)", path.read_text()):
            found |= {(int(a), int(b)) for a, b in re.findall(r'"(\d+)\.(\d+)"', words)}
    return found


MARKED = marked()


@pytest.mark.parametrize("chapter", outline().values(), ids=lambda chapter: chapter.title)
def test_every_slide_is_accounted_for(chapter: Chapter) -> None:
    """What is neither talk nor an exception has a test, and every test names a slide there is."""
    shown = {slide for number, slide in MARKED if number == chapter.number}
    assert chapter.shown - shown == set(), "no test shows these slides"
    assert shown & chapter.talk == set(), "these slides are talk"
    assert max(shown, default=0) <= chapter.slides


def test_exceptions_are_few() -> None:
    """What is not as the course says is rare, and has its reason."""
    reasons = [why for chapter in outline().values() for why in chapter.exceptions.values()]
    assert len(reasons) <= MOST_EXCEPTIONS
    assert all(reasons)
