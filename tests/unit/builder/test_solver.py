"""The contract between the solver and whatever does the steps."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from wherry.builder.solver import Solver, StepEvent, Tell, Vertex, needed
from wherry.kit.aio import KeyedLock
from wherry.model.build_causes import StepWhy
from wherry.model.builds import StepEnded, StepPlanned


class StepBroke(Exception):
    """A step that fails."""


@dataclass
class FakeExecutor:
    """Steps are words; a result is all the words below it."""

    kept: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    begun: dict[str, asyncio.Event] = field(default_factory=dict)
    breaks: frozenset[str] = frozenset()

    async def key(self, step: str, parent: str | None, sources: Sequence[str]) -> str:
        """By what the step stands on."""
        return f"{parent or ''}>{'+'.join(sources)}>{step}"

    async def cached(self, key: str, step: str, parent: str | None) -> str | None:
        """What ran before."""
        return self.kept.get(key)

    async def run(
        self, key: str, step: str, parent: str | None, sources: Sequence[str], tell: Tell
    ) -> str:
        """Wait where a test wants it."""
        self.ran.append(step)
        tell(f"running {step}\n", True)
        if step in self.begun:
            self.begun[step].set()
        if step in self.gates:
            await self.gates[step].wait()
        if step in self.breaks:
            raise StepBroke(step)
        self.kept[key] = key
        return key

    async def why(self, key: str, step: str, parent: str | None) -> StepWhy | None:
        """Nobody asks."""
        return None

    def name(self, result: str) -> str:
        """The result."""
        return f"made {result}"

    def size(self, result: str) -> int:
        """Nothing is added."""
        return 0


def diamond() -> tuple[Vertex[str], Vertex[str], Vertex[str], Vertex[str]]:
    """One at the bottom, two on it, one on both."""
    bottom = Vertex("bottom")
    left, right = Vertex("left", parent=bottom), Vertex("right", parent=bottom)
    return bottom, left, right, Vertex("top", parent=left, sources=(right,))


def test_only_what_is_needed_and_each_behind_what_it_needs() -> None:
    """What no path leads to is not in the order."""
    bottom, left, right, top = diamond()
    Vertex("stranger", parent=bottom)
    assert needed(top) == [bottom, left, right, top]
    assert needed(left) == [bottom, left]


def test_the_order_of_a_long_chain_needs_no_stack() -> None:
    """Ten thousand steps are no recursion."""
    top: Vertex[str] = Vertex("0")
    for number in range(1, 10_000):
        top = Vertex(str(number), parent=top)
    assert len(needed(top)) == 10_000


async def test_each_vertex_runs_once_and_then_is_kept() -> None:
    """A diamond's bottom is shared; a second build runs nothing."""
    executor = FakeExecutor()
    for _build in range(2):
        events: list[StepEvent] = []
        order = needed(diamond()[3])
        solver = Solver[str, str](executor, KeyedLock(), events.append)
        await solver.solve(order)
        assert solver.result(order[-1]).endswith(">top")
    assert sorted(executor.ran) == ["bottom", "left", "right", "top"]
    assert [each.number for each in events[:4]] == [0, 1, 2, 3]
    assert isinstance(events[3], StepPlanned)
    assert events[3].needs == (1, 2)
    ended = [each for each in events if isinstance(each, StepEnded)]
    assert [each.was_cached for each in ended] == [True] * 4


async def test_what_is_independent_runs_at_the_same_time() -> None:
    """Each side of the diamond waits until the other has begun."""
    meeting = {name: asyncio.Event() for name in ("left", "right")}
    executor = FakeExecutor(
        begun=meeting, gates={"left": meeting["right"], "right": meeting["left"]}
    )
    async with asyncio.timeout(20):
        await Solver[str, str](executor, KeyedLock()).solve(needed(diamond()[3]))


async def test_two_builds_run_a_step_once_and_one_that_ends_leaves_the_other() -> None:
    """Who comes second waits for the first; when the first is cancelled it runs the step."""
    begun, gate = asyncio.Event(), asyncio.Event()
    executor = FakeExecutor(begun={"bottom": begun}, gates={"bottom": gate})
    running = KeyedLock()
    first_order, second_order = needed(diamond()[3]), needed(diamond()[3])
    second = Solver[str, str](executor, running)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        first = group.create_task(Solver[str, str](executor, running).solve(first_order))
        await begun.wait()
        group.create_task(second.solve(second_order))
        begun.clear()
        first.cancel()
        await begun.wait()
        gate.set()
    assert second.result(second_order[-1]).endswith(">top")
    assert executor.ran.count("bottom") == 2
    assert executor.ran.count("top") == 1


async def test_a_failure_stops_the_rest_and_is_told() -> None:
    """What needs the step that failed never runs, and what runs beside it is cancelled."""
    executor = FakeExecutor(breaks=frozenset({"right"}), gates={"left": asyncio.Event()})
    order = needed(diamond()[3])
    events: list[StepEvent] = []
    solver = Solver[str, str](executor, KeyedLock(), events.append)
    async with asyncio.timeout(20):
        await solver.solve(order)
    assert isinstance(solver.failure, StepBroke)
    assert solver.failed is order[2]
    assert "top" not in executor.ran
    ended = [each for each in events if isinstance(each, StepEnded)]
    assert [each.number for each in ended if each.error is not None] == [2]
    with pytest.raises(asyncio.CancelledError):
        solver.result(order[3])
