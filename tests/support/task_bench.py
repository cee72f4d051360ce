"""Tasks to be tested: fakes, plain processes without root, and real containers with it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support.fake_tasks import FakeTasks
from support.source_tree import REPOSITORY
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import SystemClock
from wherry.kit.random_ids import new_id
from wherry.logs.options import LogTarget
from wherry.model.ids import ContainerId
from wherry.oci.runtime_spec import (
    Linux,
    Memory,
    Mount,
    Namespace,
    Process,
    Resources,
    RootfsMount,
    RuntimeSpec,
)
from wherry.tasks import ForeignRuntimeChoice, SpawnRequest, Tasks
from wherry.tasks.spawner import SpawnerProcess

PLAIN_PROGRAM = "support.plain_runtime"
CGROUP_PARENT = "/wherry-task-tests"
_ENVIRONMENT = ("PATH=/bin:/usr/bin",)


@dataclass
class TaskBench:
    """Tasks, and a place for the containers that a test makes."""

    tasks: Any
    """`Tasks` or `FakeTasks`."""
    directory: Path
    rootfs: Path | None = None
    """None: processes have the host's root."""
    memory_limit: int | None = None
    runtime: ForeignRuntimeChoice | None = None
    made: list[Any] = field(default_factory=list)

    async def spawn(self, *args: str, terminal: bool = False, **changes: Any) -> Any:
        """A parked task of a command, with a log in its own directory."""
        request = self.request(*args, terminal=terminal)
        task = await self.tasks.spawn(replace(request, **changes))
        self.made.append(task)
        return task

    async def run(self, *args: str, **changes: Any) -> Any:
        """A task whose program runs."""
        task = await self.spawn(*args, **changes)
        await task.start()
        return task

    def request(self, *args: str, terminal: bool = False) -> SpawnRequest:
        """A container of its own for a command."""
        container_id = ContainerId(new_id())
        place = self.directory / container_id[:12]
        place.mkdir()
        return SpawnRequest(
            container_id=container_id,
            bundle=str(place),
            record_directory=str(place),
            spec=self._spec(container_id, Process(args=args, env=_ENVIRONMENT, terminal=terminal)),
            rootfs=self._rootfs_mount(),
            log=LogTarget(path=str(place / "container.log")),
            runtime=self.runtime,
        )

    def log_of(self, task: Any) -> Path:
        """The log file of a task."""
        return self.place_of(task) / "container.log"

    def place_of(self, task: Any) -> Path:
        """Bundle and record directory of a task."""
        return self.directory / task.container_id[:12]

    async def end_all(self) -> None:
        """Kill what a test left running."""
        for task in self.made:
            await task.signal(9)
            with contextlib.suppress(TimeoutError):
                import asyncio

                async with asyncio.timeout(5):
                    if task.pid and getattr(task, "shim_pid", 1):
                        await task.delete()

    def _rootfs_mount(self) -> RootfsMount | None:
        if self.rootfs is None:
            return None
        return RootfsMount(type="bind", directory=str(self.rootfs), source=str(self.rootfs))

    def _spec(self, container_id: str, process: Process) -> RuntimeSpec:
        if self.rootfs is None:
            return RuntimeSpec(process=process)
        kinds = ("mount", "pid", "ipc", "uts", "network")
        return RuntimeSpec(
            process=process,
            hostname="bench",
            mounts=(
                Mount(destination="/proc", type="proc", source="proc"),
                Mount(destination="/dev", type="tmpfs", source="tmpfs", options=("nosuid",)),
                Mount(
                    destination="/dev/pts",
                    type="devpts",
                    source="devpts",
                    options=("newinstance", "ptmxmode=0666", "mode=0620"),
                ),
            ),
            linux=Linux(
                namespaces=tuple(Namespace(type=kind) for kind in kinds),
                cgroups_path=f"{CGROUP_PARENT}/{container_id}",
                resources=Resources(memory=Memory(limit=self.memory_limit)),
            ),
        )


def make_busybox_root(directory: Path) -> Path:
    """A root directory with a static busybox and its applets."""
    root = directory / "rootfs"
    for name in ("bin", "proc", "dev", "sys", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy("/usr/bin/busybox", root / "bin/busybox")
    for applet in subprocess.check_output(["/usr/bin/busybox", "--list"], text=True).split():
        with contextlib.suppress(FileExistsError):
            os.symlink("busybox", root / "bin" / applet)
    return root


@contextlib.asynccontextmanager
async def fake_bench(directory: Path) -> AsyncIterator[TaskBench]:
    """Coroutines in the place of processes."""
    yield TaskBench(FakeTasks(), directory)


@contextlib.asynccontextmanager
async def plain_bench(directory: Path) -> AsyncIterator[TaskBench]:
    """Real spawner and shims, whose containers are plain processes."""
    paths = tuple(str(REPOSITORY / each) for each in ("src", "tests"))
    async with _bench(directory, None, PLAIN_PROGRAM, paths) as bench:
        yield bench


@contextlib.asynccontextmanager
async def real_bench(directory: Path) -> AsyncIterator[TaskBench]:
    """The real thing: containers of a busybox root."""
    paths = (str(REPOSITORY / "src"),)
    root = make_busybox_root(directory)
    async with _bench(directory, root, "wherry.programs.spawner", paths) as bench:
        yield bench
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        with contextlib.suppress(OSError):
            (hierarchy / CGROUP_PARENT[1:]).rmdir()
    with contextlib.suppress(OSError):
        Path(f"/sys/fs/cgroup{CGROUP_PARENT}").rmdir()


@contextlib.asynccontextmanager
async def runc_bench(directory: Path) -> AsyncIterator[TaskBench]:
    """Containers that Debian's runc makes, under our shims."""
    async with real_bench(directory) as bench:
        bench.runtime = ForeignRuntimeChoice(name="runc", path="runc")
        yield bench


@contextlib.asynccontextmanager
async def _bench(
    directory: Path, root: Path | None, program: str, paths: tuple[str, ...]
) -> AsyncIterator[TaskBench]:
    offload = OffloadPool(2)
    empty = directory / "empty"
    empty.mkdir()
    spawner = SpawnerProcess(
        empty_directory=str(empty), offload=offload, program=program, paths=paths
    )
    tasks = Tasks(exec_root=str(directory), offload=offload, clock=SystemClock(), spawner=spawner)
    await tasks.open()
    bench = TaskBench(tasks, directory, root)
    try:
        yield bench
    finally:
        await bench.end_all()
        await tasks.close()
        offload.close()
