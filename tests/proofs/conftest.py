"""Proofs: each gives a figure, and fails against a build without the guard that it is about.

`make proof` (WHERRY_PROOF=whole) takes the full numbers of docs/reliability.md; `make test` a
sample of each.
"""

from collections.abc import Iterator

import pytest

from support.proof_size import Size

_figures = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin a list of figures."""
    config.stash[_figures] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print them."""
    if config.stash[_figures]:
        terminalreporter.section("figures")
        for figure in config.stash[_figures]:
            terminalreporter.write_line(figure)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Proofs need root and may take long; mutants are killed in whole runs."""
    mutants = [item for item in items if "/tests/proofs/" in str(item.path) and is_left(item)]
    items[:] = [item for item in items if item not in mutants]
    config.hook.pytest_deselected(items=mutants)
    for item in items:
        if "/tests/proofs/" in str(item.path):
            item.add_marker(pytest.mark.kernel)
            item.add_marker(pytest.mark.timeout(3000 if Size.is_whole else 300))


def is_left(item: pytest.Item) -> bool:
    """Whether it is left to whole runs."""
    return "mutant" in item.name and not Size.is_whole


@pytest.fixture(scope="session")
def size() -> Size:
    """Whole or sampled."""
    return Size()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What is appended here is printed at the end, with the test's name."""
    said: list[str] = []
    yield said
    for each in said:
        request.config.stash[_figures].append(f"{request.node.name}: {each}")
