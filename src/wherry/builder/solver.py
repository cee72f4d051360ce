"""The graph of a build, and the order in which it is solved.

A vertex is one step on a parent, perhaps with sources beside it. Only what the target needs is
solved, each vertex once; vertices that don't need each other are solved at the same time. What a
step means is the executor's business: it names a step by everything that it can see (`key`), and
the same key never runs twice at once, whoever builds: who comes second waits, and finds it done.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from wherry.kit.aio import KeyedLock
from wherry.kit.values import dataclass
from wherry.model.build_causes import StepWhy
from wherry.model.builds import StepEnded, StepPlanned, StepSaid, StepStarted, Voice

R = TypeVar("R")
S = TypeVar("S")
Step = TypeVar("Step", contravariant=True)
StepEvent = StepPlanned | StepStarted | StepSaid | StepEnded

Tell = Callable[[str, Voice], None]
"""Takes what a step says while it runs, and whether those are its command's own words."""
TellEvent = Callable[[StepEvent], None]


@dataclass(eq=False, slots=True)
class Vertex(Generic[S]):
    """One step."""

    step: S
    parent: "Vertex[S] | None" = None
    sources: tuple["Vertex[S]", ...] = ()
    label: str = ""
    stage: str = ""
    platform: str = ""
    base: str = ""
    line: int = 0
    is_metadata: bool = False
    is_trigger: bool = False


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

    async def why(self, key: str, step: Step, parent: R | None) -> StepWhy | None:
        """Why a step that is about to run was not found; None where there is no question."""
        ...

    def name(self, result: R) -> str:
        """What a result is called, where it has a name."""
        ...

    def size(self, result: R) -> int:
        """The bytes of what a step added."""
        ...


class Solver(Generic[S, R]):
    """Solves one target."""

    def __init__(
        self,
        executor: Executor[S, R],
        running: KeyedLock,
        tell: TellEvent = lambda event: None,
        *,
        at_once: int = 4,
    ) -> None:
        """`running` is shared by all builds."""
        self._executor = executor
        self._running = running
        self._tell = tell
        self._slots = asyncio.Semaphore(at_once)
        self._results: dict[Vertex[S], asyncio.Task[R]] = {}
        self.failed: Vertex[S] | None = None
        """The first step that failed."""
        self.failure: Exception | None = None

    async def solve(self, order: Sequence[Vertex[S]]) -> None:
        """Solve vertices; the order has each one behind what it needs.

        What the first step that failed raised is `failure`; the others are cancelled then.
        """
        numbers = {vertex: number for number, vertex in enumerate(order)}
        for vertex, number in numbers.items():
            below = (*((vertex.parent,) if vertex.parent is not None else ()), *vertex.sources)
            self._tell(
                StepPlanned(
                    number=number,
                    label=vertex.label,
                    stage=vertex.stage,
                    platform=vertex.platform,
                    base=vertex.base,
                    line=vertex.line,
                    is_metadata=vertex.is_metadata,
                    is_trigger=vertex.is_trigger,
                    needs=tuple(numbers[each] for each in below),
                )
            )
        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for vertex, number in numbers.items():
                    self._results[vertex] = group.create_task(self._solved(vertex, number))

    def result(self, vertex: Vertex[S]) -> R:
        """What a solved vertex gave."""
        return self._results[vertex].result()

    async def _solved(self, vertex: Vertex[S], number: int) -> R:
        parent = None if vertex.parent is None else await self._results[vertex.parent]
        sources = [await self._results[each] for each in vertex.sources]
        self._tell(StepStarted(number=number))
        why = None
        try:
            key = await self._executor.key(vertex.step, parent, sources)
            async with self._running.held(key or vertex):
                found = await self._executor.cached(key, vertex.step, parent) if key else None
                result = found
                if result is None:
                    why = await self._executor.why(key, vertex.step, parent)
                    result = await self._run(vertex, number, key, parent, sources)
        except Exception as error:
            if self.failed is None:
                self.failed, self.failure = vertex, error
            self._tell(StepEnded(number=number, error=error, why=why))
            raise
        self._tell(
            StepEnded(
                number=number,
                was_cached=found is not None,
                image_id=self._executor.name(result),
                layer_bytes=self._executor.size(result),
                why=why,
            )
        )
        return result

    async def _run(
        self, vertex: Vertex[S], number: int, key: str, parent: R | None, sources: Sequence[R]
    ) -> R:
        def tell(text: str, voice: Voice) -> None:
            self._tell(StepSaid(number=number, text=text, voice=voice))

        async with self._slots:
            return await self._executor.run(key, vertex.step, parent, sources, tell)


def chain(vertex: Vertex[S]) -> Iterator[Vertex[S]]:
    """A vertex, and those that it stands on."""
    below: Vertex[S] | None = vertex
    while below is not None:
        yield below
        below = below.parent


def bottom(vertex: Vertex[S]) -> S:
    """The step that a chain of parents begins with."""
    *_above, lowest = chain(vertex)
    return lowest.step


def needed(*targets: Vertex[S]) -> list[Vertex[S]]:
    """Everything that vertices need and themselves, each behind what it needs."""
    found: dict[Vertex[S], None] = {}
    waiting: list[tuple[Vertex[S], bool]] = [(each, False) for each in reversed(targets)]
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
