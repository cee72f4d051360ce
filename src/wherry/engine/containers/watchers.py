"""Who looks after a container while it runs: who waits for its end, probes it, feeds its log."""

from wherry.engine.containers.exits import ExitWatcher
from wherry.engine.containers.health import HealthMonitor
from wherry.engine.containers.log_feeding import Loggers
from wherry.kit.aio import UndoStack
from wherry.model.containers import Container
from wherry.tasks import Task


class Watchers:
    """All of them, for whoever starts a container or finds one that runs."""

    def __init__(self, exits: ExitWatcher, health: HealthMonitor, loggers: Loggers) -> None:
        self._exits = exits
        self._health = health
        self._loggers = loggers

    async def prepare(self, container: Container, undo: UndoStack) -> None:
        """Before its program runs: what it says first must find its logger.

        Raises: what `Loggers.start` raises.
        """
        await self._loggers.start(container)
        undo.push(self._loggers.take_back, container.id)

    def watch(self, container: Container, task: Task) -> None:
        """From the moment at which its program runs."""
        self._exits.watch(container.id, task)
        self._health.watch(container, task)

    async def resume(self, container: Container, task: Task) -> None:
        """Of a container that ran already when this engine began."""
        self.watch(container, task)
        await self._loggers.resume(container)

    async def close(self) -> None:
        """Let go of containers; they run on."""
        await self._health.close()
        await self._loggers.close()
        await self._exits.close()
