"""The one bridge from the event loop to blocking work."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class OffloadPool:
    """A bounded pool of threads for calls that block: disk, netlink, hashing.

    A call that was cancelled still runs to its end in its thread; its result is dropped. So
    what it did must be undone by what was registered before, or be harmless.
    """

    def __init__(self, threads: int = 8) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="offload")

    async def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in the pool and wait for its result."""
        context = contextvars.copy_context()
        work = functools.partial(context.run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Wait for the calls under way and end the threads."""
        self._executor.shutdown(wait=True)
