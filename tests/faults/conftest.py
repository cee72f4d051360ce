"""Fault tests: something is denied in the middle of a verb, and nothing may be left of it."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests beside this file need root and a running engine."""
    for item in items:
        if "/tests/faults/" in str(item.path):
            item.add_marker(pytest.mark.kernel)
