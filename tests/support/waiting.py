"""Waiting for something that no descriptor announces."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 10 if "WHERRY_IN_VM" in os.environ else 1
"""By how much everything may take longer here: an emulated processor is slow."""


def wait_until(
    what: str, condition: Callable[[], T], *, within_s: float = 10, every_s: float = 0.02
) -> T:
    """Ask again until the answer is true, and return it. Raises: AssertionError, saying what."""
    deadline = time.monotonic() + within_s * PATIENCE
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_s} s still not: {what}")
        time.sleep(every_s)
    return answer
