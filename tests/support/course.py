"""The course, slide by slide: which tests show that it is true.

A test says which slides it shows: `@pytest.mark.slide("3.5", "3.6")`, the numbers of the chapter
and of the slide in it, both from 1. `tests/course/outline.toml` says how many slides each chapter
has, which of them are talk (nothing that a platform does or shows), and where Wherry differs on
purpose. Every other slide needs a test.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

OUTLINE = Path(__file__).parents[1] / "course" / "outline.toml"
CHAPTERS = 28


@dataclass(frozen=True, slots=True)
class Chapter:
    """What a chapter's slides are to the tests."""

    number: int
    title: str
    slides: int
    talk: frozenset[int]
    exceptions: Mapping[int, str]
    """Where Wherry does otherwise on purpose, and why."""

    @property
    def shown(self) -> frozenset[int]:
        """The slides that need a test."""
        return frozenset(range(1, self.slides + 1)) - self.talk - self.exceptions.keys()


def outline() -> Mapping[int, Chapter]:
    """The chapters whose slides have been read and sorted."""
    read = tomllib.loads(OUTLINE.read_text())
    return {
        int(number): Chapter(
            int(number),
            chapter["title"],
            chapter["slides"],
            frozenset(chapter.get("talk", ())),
            {int(slide): why for slide, why in chapter.get("exceptions", {}).items()},
        )
        for number, chapter in read.items()
    }


def slides_of(marks: Iterable[pytest.Mark]) -> frozenset[tuple[int, int]]:
    """Chapter and slide of each slide that the marks of a test name."""
    return frozenset(
        (int(chapter), int(slide))
        for mark in marks
        for chapter, _, slide in (text.partition(".") for text in mark.args)
    )


class CourseReport:
    """A line for each chapter at the end of `make course`: how many of its slides hold."""

    def __init__(self) -> None:
        self._slides: dict[str, frozenset[tuple[int, int]]] = {}
        self._outcomes: dict[tuple[int, int], set[str]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Which test shows what."""
        self._slides = {
            item.nodeid: slides_of(item.iter_markers("slide")) for item in session.items
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A slide holds when a test of it has passed and none has failed."""
        if report.when == "call" or not report.passed:
            for slide in self._slides.get(report.nodeid, ()):
                self._outcomes[slide].add(report.outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, and each exception."""
        write = terminalreporter.write_line
        known = outline()
        for number in range(1, CHAPTERS + 1):
            if number in known:
                write(self._line(known[number]))
            else:
                write(f"chapter {number:2}  its slides are not sorted yet")
        for chapter in known.values():
            for slide, why in chapter.exceptions.items():
                write(f"except {chapter.number}.{slide}: {why}")

    def _line(self, chapter: Chapter) -> str:
        outcomes = {
            slide: self._outcomes.get((chapter.number, slide), {"absent"})
            for slide in chapter.shown
        }
        held = [slide for slide, seen in outcomes.items() if seen <= {"passed", "skipped"}]
        not_here = sorted(slide for slide in held if outcomes[slide] == {"skipped"})
        others = sorted(outcomes.keys() - held)
        return (
            f"chapter {chapter.number:2}  {chapter.title:32} {len(held) - len(not_here):2} of"
            f" {len(chapter.shown):2} slides hold"
            + (f"; {_listed(not_here)} in the guest (make vm-test)" if not_here else "")
            + (f"; NOT {_listed(others)}" if others else "")
        )


def _listed(slides: list[int]) -> str:
    return ", ".join(map(str, slides))
