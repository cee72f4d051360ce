"""Waiting for something that no descriptor announces."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    what: str, condition: Callable[[], T], *, within_s: float = 10, every_s: float = 0.02
) -> T:
    """Ask again until the answer is true, and return it. Raises: AssertionError, saying what."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_s} s still not: {what}")
        time.sleep(every_s)
    return answer
