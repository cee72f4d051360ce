"""Parity tests: each drives a running engine as a stranger would, and must leave it clean."""

from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.debian_registry import debian_registry


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests beside this file are parity tests."""
    for item in items:
        if "/tests/parity/" in str(item.path):
            item.add_marker(pytest.mark.parity)


@pytest.fixture(scope="module", autouse=True)
def _leaves_nothing(clean_census: None) -> None:
    """Every module ends with the census of its beginning."""


@pytest.fixture(scope="module")
def registry(shared_engine: Engine) -> Iterator[str]:
    """A registry beside the run's engine, for one module."""
    with debian_registry(shared_engine) as name:
        yield name
