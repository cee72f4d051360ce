"""The walk of a start: which rooms are entered, in which order, as a golden file.

The file is documentation too: it is what `docs/walks/run.md` tells in words. A change of the
walk changes it, and is reviewed there.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from support.engine_bench import NoThreads, engine_bench
from support.golden import GOLDEN_DIRECTORY, assert_golden
from wherry.model.containers import ContainerSpec
from wherry.model.outcomes import WaitCondition
from wherry.specgen import compiled_seccomp

ROOMS_BELOW = ("images", "snapshots", "networks", "specgen", "tasks", "store")


class RoomTrace:
    """Notes each time that one room of the package calls a public function of another."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or frame.f_back is None or _is_resumed(frame):
            return
        place, caller = _place(frame), _place(frame.f_back)
        name = frame.f_code.co_name
        if place is None or place == caller or (name.startswith("_") and name != "__call__"):
            return
        step = f"{place}.{name}" if name != "__call__" else f"{place}.{_class_of(frame)}"
        if not self.steps or self.steps[-1] != step:
            self.steps.append(step)


def _place(frame: FrameType) -> str | None:
    """`engine.containers.start` for a verb, the room alone for the rooms below."""
    module = frame.f_globals.get("__name__", "")
    if module == "support.fake_networks":
        return "networks"
    if module == "support.fake_tasks":
        return "tasks"
    parts = module.split(".")
    if parts[0] != "wherry" or len(parts) < 2:
        return None
    if parts[1] == "engine" and len(parts) > 3:
        return ".".join(parts[1:])
    return parts[1] if parts[1] in ROOMS_BELOW else None


def _is_resumed(frame: FrameType) -> bool:
    """Whether a coroutine goes on after an await, rather than begins (dis, "RESUME")."""
    return frame.f_code.co_code[frame.f_lasti + 1] & 3 != 0


def _class_of(frame: FrameType) -> str:
    return type(frame.f_locals["self"]).__name__ if "self" in frame.f_locals else ""


@contextmanager
def traced() -> Iterator[RoomTrace]:
    """Trace this thread."""
    trace = RoomTrace()
    sys.setprofile(trace)
    try:
        yield trace
    finally:
        sys.setprofile(None)


async def test_the_walk_of_a_start(tmp_path: Path) -> None:
    """Create, start and end go through the rooms as the walk says."""
    compiled_seccomp.cache_clear()  # by tests before this one
    async with engine_bench(tmp_path, NoThreads(1)) as bench:
        containers = bench.services.containers
        with traced() as trace:
            created = await containers.create(
                ContainerSpec(image="busybox", command=("true",)), name="walker"
            )
            trace.steps.append("")
            await containers.start(created.container_id)
            trace.steps.append("")
            ended = await containers.wait(created.container_id, WaitCondition.NOT_RUNNING)
            await ended
    assert_golden(GOLDEN_DIRECTORY / "walks" / "run.txt", "\n".join(trace.steps) + "\n")
