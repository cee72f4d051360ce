"""What is alive now: tasks, sandboxes, and those who wait for an end.

Nothing here is stored: boot finds it again from shims and sandboxes.
"""

import asyncio

from wherry.model.errors.containers import ContainerNotRunning
from wherry.model.ids import ContainerId
from wherry.model.tasks import ExitRecord
from wherry.networks import Sandbox
from wherry.tasks import Task


class LiveContainers:
    """The running containers' tasks and sandboxes."""

    def __init__(self) -> None:
        self._tasks: dict[ContainerId, Task] = {}
        self._sandboxes: dict[ContainerId, Sandbox] = {}

    def enter(self, container_id: ContainerId, task: Task, sandbox: Sandbox) -> None:
        """A container has come to life."""
        self._tasks[container_id] = task
        self._sandboxes[container_id] = sandbox

    def leave(self, container_id: ContainerId) -> None:
        """A container has ended."""
        self._tasks.pop(container_id, None)
        self._sandboxes.pop(container_id, None)

    def task(self, container_id: ContainerId) -> Task:
        """The task of a running container. Raises: ContainerNotRunning."""
        task = self._tasks.get(container_id)
        if task is None:
            raise ContainerNotRunning(container_id)
        return task

    def sandbox(self, container_id: ContainerId) -> Sandbox | None:
        """The network sandbox of a running container."""
        return self._sandboxes.get(container_id)

    def ids(self) -> frozenset[ContainerId]:
        """Who is alive."""
        return frozenset(self._tasks)


class Waiters:
    """Futures of clients that wait for the next end, or for the removal, of a container."""

    def __init__(self) -> None:
        self._exits: dict[ContainerId, list[asyncio.Future[ExitRecord]]] = {}
        self._removals: dict[ContainerId, list[asyncio.Future[ExitRecord]]] = {}

    def next_exit(self, container_id: ContainerId) -> asyncio.Future[ExitRecord]:
        """Resolves when the container ends the next time, or is removed before."""
        return _enlist(self._exits, container_id)

    def removal(self, container_id: ContainerId) -> asyncio.Future[ExitRecord]:
        """Resolves when the container has been removed."""
        return _enlist(self._removals, container_id)

    def exited(self, container_id: ContainerId, record: ExitRecord) -> None:
        """Tell those who wait for an end."""
        _resolve(self._exits.pop(container_id, ()), record)

    def removed(self, container_id: ContainerId, record: ExitRecord) -> None:
        """Tell everybody: there is nothing left to wait for."""
        _resolve(self._exits.pop(container_id, ()), record)
        _resolve(self._removals.pop(container_id, ()), record)


def _enlist(
    where: dict[ContainerId, list[asyncio.Future[ExitRecord]]], container_id: ContainerId
) -> asyncio.Future[ExitRecord]:
    future: asyncio.Future[ExitRecord] = asyncio.get_running_loop().create_future()
    queue = where.setdefault(container_id, [])
    queue.append(future)

    def forget(done: asyncio.Future[ExitRecord]) -> None:
        if done.cancelled() and done in queue:
            queue.remove(done)

    future.add_done_callback(forget)
    return future


def _resolve(futures: "list[asyncio.Future[ExitRecord]] | tuple[()]", record: ExitRecord) -> None:
    for future in futures:
        if not future.done():
            future.set_result(record)
