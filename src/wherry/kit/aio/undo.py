"""Undo for verbs of several steps.

A verb pushes the reverse of each step right after the step; `keep()` as its last line says that
the result stands. Leaving the block without it runs the reverses, last first.

Why not a bare `AsyncExitStack`: when a second cancellation arrives while it unwinds, the
interrupted reverse is skipped in silence. Here the unwinding runs in a task of its own that is
shielded, so every reverse runs to its end; the cancellation is delivered afterwards.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import ParamSpec, TypeVar

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class UndoStack:
    """Reverses of the steps done so far, run unless `keep()` was called."""

    def __init__(self) -> None:
        self._reverses: list[Callable[[], Awaitable[object]]] = []

    async def __aenter__(self) -> "UndoStack":
        return self

    def push(
        self, reverse: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Register the reverse of a step that has just been done."""
        self._reverses.append(lambda: reverse(*args, **kwargs))

    async def enter(self, step: AbstractAsyncContextManager[T]) -> T:
        """Do a step whose exit is its reverse; an exit that `keep()` makes unnecessary."""
        result = await step.__aenter__()
        self._reverses.append(lambda: step.__aexit__(None, None, None))
        return result

    def keep(self) -> None:
        """The verb succeeded: forget the reverses."""
        self._reverses.clear()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._reverses:
            return
        unwinding = asyncio.ensure_future(self._unwind())
        cancelled = False
        while not unwinding.done():
            try:
                await asyncio.shield(unwinding)
            except asyncio.CancelledError:
                cancelled = True
        unwinding.result()
        if cancelled and not isinstance(error, asyncio.CancelledError):
            raise asyncio.CancelledError

    async def _unwind(self) -> None:
        while self._reverses:
            reverse = self._reverses.pop()
            try:
                await reverse()
            except (Exception, asyncio.CancelledError):
                # Also one that waited for something cancelled: the others have their turn.
                _log.exception("undo.step_failed")
