"""Ending and holding containers: stop, kill, restart, pause, unpause.

None of these holds the container's lock while it waits for the end: `exits` needs it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from wherry.engine.containers.health import HealthMonitor
from wherry.engine.containers.live import LiveContainers, Waiters
from wherry.engine.containers.restarts import Restarts
from wherry.engine.containers.start import StartContainer
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, UndoStack
from wherry.kit.values import replace
from wherry.model.containers import Container, RestartMode
from wherry.model.errors.containers import (
    ContainerNotFound,
    ContainerNotPaused,
    ContainerNotRunning,
    ContainerPaused,
    ContainerRestarting,
    NothingToKill,
)
from wherry.model.health import Health, unprobed
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerEvent, ContainerState, next_state
from wherry.model.outcomes import StopOutcome
from wherry.model.signals import DEFAULT_STOP_SIGNAL, parse_signal
from wherry.model.tasks import ExitRecord

DEFAULT_STOP_TIMEOUT_S = 10
KILL_TIMEOUT_S = 10
SIGKILL = 9


class StopContainer:
    """The verbs that send signals: stop, kill, restart."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        live: LiveContainers,
        waiters: Waiters,
        start: StartContainer,
        restarts: Restarts,
        events: EventLog,
    ) -> None:
        self._records = records
        self._locks = locks
        self._live = live
        self._waiters = waiters
        self._start = start
        self._restarts = restarts
        self._events = events

    async def stop(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> StopOutcome:
        """Ask the container to end, and kill it when it has not after `timeout_s` seconds.

        None takes the container's own time-out (ten seconds unless it says otherwise); a
        negative one waits for ever.

        Raises: ContainerNotFound, InvalidValue for a signal.
        """
        container = self._records.find(reference)
        spec = container.spec
        number = parse_signal(signal or spec.stop_signal or DEFAULT_STOP_SIGNAL)
        if timeout_s is None:
            timeout_s = spec.stop_timeout_s
        if timeout_s is None:
            timeout_s = DEFAULT_STOP_TIMEOUT_S
        if await self._cancel_restart(container.id):
            self._events.container("stop", container)
            return StopOutcome.STOPPED
        ended = await self._signal(container.id, number, is_stop=True)
        if ended is None:
            return StopOutcome.ALREADY_STOPPED
        try:
            await asyncio.wait_for(
                asyncio.shield(ended), None if timeout_s < 0 else max(timeout_s, 0.001)
            )
        except TimeoutError:
            await self._signal(container.id, SIGKILL, is_stop=True)
            await ended
        self._events.container("stop", container)
        return StopOutcome.STOPPED

    async def kill(self, reference: str, *, signal: str = "") -> None:
        """Send a signal; with SIGKILL, wait until the container has ended.

        Raises: ContainerNotFound, NothingToKill, InvalidValue for a signal.
        """
        container = self._records.find(reference)
        number = parse_signal(signal or "SIGKILL")
        stop_signal = parse_signal(container.spec.stop_signal or DEFAULT_STOP_SIGNAL)
        is_stop = number in (SIGKILL, stop_signal)
        if is_stop and await self._cancel_restart(container.id):
            return
        ended = await self._signal(container.id, number, is_stop=is_stop)
        if ended is None:
            raise NothingToKill(reference, container.id)
        if number == SIGKILL:
            await asyncio.wait([ended], timeout=KILL_TIMEOUT_S)

    async def restart(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> None:
        """Stop, if it runs, and start.

        Raises: as `stop` and `StartContainer`.
        """
        container = self._records.find(reference)
        if container.counts_as_running:
            await self.stop(container.id, signal=signal, timeout_s=timeout_s)
        await self._start(container.id)
        self._events.container("restart", container)

    async def _cancel_restart(self, container_id: ContainerId) -> bool:
        """Leave a container stopped that waits for its next start; False for any other."""
        async with self._locks.held(container_id):
            container = self._records.find(container_id)
            if container.status.state is not ContainerState.RESTARTING:
                return False
            await self._restarts.cancel(container)
            return True

    async def _remember_stop(self, container: Container) -> None:
        """A policy must not undo a stop, even when the engine dies before the container does."""
        stopped = replace(container, explicit_stop=True)
        if container.spec.restart.mode is RestartMode.NO:
            self._records.show(stopped)
        else:
            await self._records.note(stopped)

    async def _signal(
        self, container_id: ContainerId, number: int, *, is_stop: bool
    ) -> asyncio.Future[ExitRecord] | None:
        """Send a signal; the future of the end, or None when there is nobody to signal."""
        async with self._locks.held(container_id):
            container = self._records.find(container_id)
            if not container.is_alive:
                return None
            task = self._live.task(container_id)
            if is_stop:
                await self._remember_stop(container)
            ended = self._waiters.next_exit(container_id)
            await task.signal(number)
            self._events.container("kill", container, signal=str(number))
            if container.status.state is ContainerState.PAUSED and is_stop:
                await task.resume()
            return ended


class PauseContainer:
    """The verbs that hold a container: pause and unpause (the freezer of its cgroup)."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        live: LiveContainers,
        health: HealthMonitor,
        events: EventLog,
    ) -> None:
        self._records = records
        self._locks = locks
        self._live = live
        self._health = health
        self._events = events

    async def pause(self, reference: str) -> None:
        """Freeze every process. Raises: ContainerNotRunning, ContainerPaused."""
        container_id = self._records.find(reference).id
        async with self._locks.held(container_id), UndoStack() as undo:
            container = self._records.find(container_id)
            if container.status.state is ContainerState.PAUSED:
                raise ContainerPaused(container_id)
            if container.status.state is ContainerState.RESTARTING:
                raise ContainerRestarting(container_id)
            if container.status.state is not ContainerState.RUNNING:
                raise ContainerNotRunning(container_id)
            task = self._live.task(container_id)
            await self._health.pause(container_id)
            undo.push(self._health.resume, container, task)
            await task.pause()
            await self._apply(container, ContainerEvent.PAUSED, unprobed(container.status.health))
            undo.keep()
            self._events.container("pause", container)

    async def unpause(self, reference: str) -> None:
        """Let every process go on. Raises: ContainerNotPaused."""
        container_id = self._records.find(reference).id
        async with self._locks.held(container_id):
            container = self._records.find(container_id)
            if container.status.state is not ContainerState.PAUSED:
                raise ContainerNotPaused(container_id)
            task = self._live.task(container_id)
            await task.resume()
            await self._apply(container, ContainerEvent.UNPAUSED, container.status.health)
            await self._health.resume(self._records.find(container_id), task)
            self._events.container("unpause", container)

    @asynccontextmanager
    async def held_still(self, container_id: ContainerId) -> AsyncIterator[None]:
        """Frozen meanwhile; one that does not run, or is paused already, stays as it is."""
        async with UndoStack() as undo:
            with suppress(
                ContainerNotRunning, ContainerNotFound, ContainerPaused, ContainerRestarting
            ):
                await self.pause(container_id)
                undo.push(self._let_go_on, container_id)
            yield

    async def _let_go_on(self, container_id: ContainerId) -> None:
        # Somebody may have done so, or removed it.
        with suppress(ContainerNotPaused, ContainerNotFound):
            await self.unpause(container_id)

    async def _apply(
        self, container: Container, event: ContainerEvent, health: Health | None
    ) -> None:
        state = next_state(container.status.state, event)
        status = replace(container.status, state=state, health=health)
        await self._records.note(replace(container, status=status))
