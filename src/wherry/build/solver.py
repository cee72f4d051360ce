"""The graph of a build, and the order in which it is solved.

A vertex is one step on a parent, perhaps with sources beside it. Only what the target needs is
solved, each vertex once; vertices that don't need each other are solved at the same time. What a
step means is the executor's business: it names a step by everything that it can see (`key`), and
the same key never runs twice at once, whoever builds: who comes second waits, and finds it done.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from wherry.kit.aio import KeyedLock

R = TypeVar("R")
S = TypeVar("S")
Step = TypeVar("Step", contravariant=True)

Tell = Callable[[str], None]
"""Takes what a step says while it runs."""


@dataclass(eq=False, slots=True)
class Vertex(Generic[S]):
    """One step."""

    step: S
    parent: "Vertex[S] | None" = None
    sources: tuple["Vertex[S]", ...] = ()
    label: str = ""
    told: "asyncio.Queue[str | None]" = field(default_factory=asyncio.Queue)
    """What it says; None at its end."""
    is_told: bool = False
    """Whether it came to its end, good or bad."""


class Executor(Protocol[Step, R]):
    """What steps mean."""

    async def key(self, step: Step, parent: R | None, sources: Sequence[R]) -> str:
        """A name for all that the step can see; empty for a step that is never kept."""
        ...

    async def cached(self, key: str, step: Step, parent: R | None) -> R | None:
        """The result of an earlier run."""
        ...

    async def run(
        self, key: str, step: Step, parent: R | None, sources: Sequence[R], tell: Tell
    ) -> R:
        """Do it."""
        ...

    def told(self, result: R) -> str:
        """The last thing that is said of a step."""
        ...


class Solver(Generic[S, R]):
    """Solves one target."""

    def __init__(self, executor: Executor[S, R], running: KeyedLock, *, at_once: int = 4) -> None:
        """`running` is shared by all builds."""
        self._executor = executor
        self._running = running
        self._slots = asyncio.Semaphore(at_once)
        self._results: dict[Vertex[S], asyncio.Task[R]] = {}
        self.failed: Vertex[S] | None = None
        """The first step that failed."""
        self.failure: Exception | None = None

    async def solve(self, order: Sequence[Vertex[S]]) -> None:
        """Solve vertices; the order has each one behind what it needs.

        What the first step that failed raised is `failure`; the others are cancelled then.
        """
        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for vertex in order:
                    self._results[vertex] = group.create_task(self._solved(vertex))

    def result(self, vertex: Vertex[S]) -> R:
        """What a solved vertex gave."""
        return self._results[vertex].result()

    async def _solved(self, vertex: Vertex[S]) -> R:
        try:
            parent = None if vertex.parent is None else await self._results[vertex.parent]
            sources = [await self._results[each] for each in vertex.sources]
            key = await self._executor.key(vertex.step, parent, sources)
            async with self._running.held(key or vertex):
                result = await self._result(vertex, key, parent, sources)
            vertex.told.put_nowait(self._executor.told(result))
            return result
        except Exception as error:
            if self.failed is None:
                self.failed, self.failure = vertex, error
            raise
        finally:
            vertex.is_told = True
            vertex.told.put_nowait(None)

    async def _result(
        self, vertex: Vertex[S], key: str, parent: R | None, sources: Sequence[R]
    ) -> R:
        found = await self._executor.cached(key, vertex.step, parent) if key else None
        if found is not None:
            vertex.told.put_nowait(" ---> Using cache\n")
            return found
        async with self._slots:
            return await self._executor.run(
                key, vertex.step, parent, sources, vertex.told.put_nowait
            )


def needed(target: Vertex[S]) -> list[Vertex[S]]:
    """Everything that a vertex needs and itself, each behind what it needs."""
    found: dict[Vertex[S], None] = {}
    waiting: list[tuple[Vertex[S], bool]] = [(target, False)]
    while waiting:
        vertex, is_ready = waiting.pop()
        if vertex in found:
            continue
        if is_ready:
            found[vertex] = None
            continue
        waiting.append((vertex, True))
        waiting += [(each, False) for each in reversed(vertex.sources)]
        if vertex.parent is not None:
            waiting.append((vertex.parent, False))
    return list(found)
