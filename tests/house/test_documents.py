"""What the documents name is there."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.source_tree import PACKAGE, REPOSITORY, rooms

DOCUMENTS = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")
FILE = re.compile(r"`([\w/.-]+\.py)(?:::(\w+))?`")
DOTTED = re.compile(r"`([a-z_]+(?:\.\w+)+)`")
TARGET = re.compile(r"`make ([\w-]+)")


def _lines(document: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(document.read_text().splitlines(), 1):
        yield f"{document.name}:{number}", line


@cache
def _files(name: str) -> tuple[Path, ...]:
    """The files of the house that a document may mean by a name: whole, or the end of one."""
    found = (each for place in ("src", "tests", "bench", "scripts") for each in _below(place))
    return tuple(each for each in found if f"/{each}".endswith(f"/{name}"))


@cache
def _below(place: str) -> tuple[Path, ...]:
    return tuple((REPOSITORY / place).rglob("*.py"))


def _is_there(dotted: str) -> bool:
    """Whether a name such as `builder.cache.causes` or `kit.aio.OffloadPool` leads somewhere."""
    *path, last = dotted.split(".")
    place = PACKAGE.joinpath(*path)
    if (place / last).is_dir() or (place / f"{last}.py").exists():
        return True
    module = place.with_suffix(".py") if not place.is_dir() else place / "__init__.py"
    return module.exists() and re.search(rf"\b{last}\b", module.read_text()) is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.stem)
def test_links_lead_to_files(document: Path) -> None:
    """Those to places of the repository."""
    lost = [
        f"{place}: {link}"
        for place, line in _lines(document)
        for link in LINK.findall(line)
        if not (document.parent / link).exists()
    ]
    assert not lost


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.stem)
def test_files_and_tests_exist(document: Path) -> None:
    """A file of Python by its name or the end of its path; of a test also the function."""
    lost = [
        f"{place}: {file} {function}"
        for place, line in _lines(document)
        for file, function in FILE.findall(line)
        if not any(not function or f"def {function}(" in each.read_text() for each in _files(file))
    ]
    assert not lost


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.stem)
def test_modules_and_what_is_in_them_exist(document: Path) -> None:
    """Each dotted name that begins with a room."""
    lost = [
        f"{place}: {name}"
        for place, line in _lines(document)
        for name in DOTTED.findall(line)
        if name.partition(".")[0] in rooms() and not _is_there(name)
    ]
    assert not lost


def test_what_can_be_made() -> None:
    """Each target that a document speaks of is one of the Makefile."""
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    named = {
        target
        for document in DOCUMENTS
        for _place, line in _lines(document)
        for target in TARGET.findall(line)
    }
    assert named
    assert named <= set(targets)
