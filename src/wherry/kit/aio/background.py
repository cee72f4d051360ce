"""Tasks that go on after the request in which they began."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


def own_task(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """A task that knows nothing of the request that begins it, so that what it does later is not
    taken for that request's doing. Whoever calls keeps it and cancels it.
    """
    return asyncio.get_running_loop().create_task(work, context=Context())
