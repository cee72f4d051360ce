"""Starting containers again that have ended: restart policies.

Theory of operation. Whether a container starts again, and how long it waits before, is decided
where its end is recorded, and lies in the same row: state RESTARTING, the delay, the count. So a
daemon that is killed during the wait loses nothing: the next one reads when the start is due.
Stopping a container that waits is a change of that row, under the container's lock; the waiting
task looks at the row when it wakes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from wherry.engine.containers.exit_records import last_exit
from wherry.engine.containers.live import Waiters
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import own_task
from wherry.kit.clock import Clock
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.errors import WherryError
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerEvent, ContainerState, next_state
from wherry.model.restarting import restart_delay_ns, wants_start_at_boot

_log = logging.getLogger(__name__)


class Restarts:
    """The containers that wait for their next start."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        waiters: Waiters,
        start: Callable[[ContainerId], Awaitable[None]],
        clock: Clock,
    ) -> None:
        """`start` starts a container whose wait is over."""
        self._records = records
        self._waiters = waiters
        self._start = start
        self._clock = clock
        self._waiting: dict[ContainerId, asyncio.Task[None]] = {}

    def decided(self, ended: Container) -> Container:
        """The record of a container that has just ended: EXITED, or RESTARTING by its policy."""
        delay_ns = restart_delay_ns(ended)
        return ended if delay_ns is None else _planned(ended, delay_ns)

    def schedule(self, container: Container) -> None:
        """Start a container in state RESTARTING when it is due."""
        before = self._waiting.pop(container.id, None)
        if before is not None:
            before.cancel()
        due_ns = (container.status.finished_at_ns or 0) + container.status.restart_delay_ns
        # Not longer than the delay itself, whatever the wall clock did meanwhile.
        wait_ns = min(due_ns - self._clock.now_ns(), container.status.restart_delay_ns)
        waiting = own_task(self._wait(container.id, wait_ns))
        self._waiting[container.id] = waiting

    async def cancel(self, container: Container) -> None:
        """Leave a container stopped that waits for its start.

        Preconditions: the container's lock is held.
        """
        waiting = self._waiting.pop(container.id, None)
        if waiting is not None:
            waiting.cancel()
        state = next_state(container.status.state, ContainerEvent.RESTART_CANCELLED)
        status = replace(container.status, state=state)
        await self._records.note(replace(container, explicit_stop=True, status=status))
        self._waiters.exited(container.id, replace(last_exit(container), error=""))

    async def resume(self) -> None:
        """At boot: go on waiting; begin to, where the policy speaks of a start of the engine."""
        for container in list(self._records.all()):
            if container.status.state is ContainerState.RESTARTING:
                self.schedule(container)
            elif _is_idle(container) and wants_start_at_boot(container):
                planned = _planned(container, delay_ns=0)
                await self._records.replace(planned)
                self.schedule(planned)

    async def close(self) -> None:
        """Stop waiting; the next engine goes on."""
        for waiting in self._waiting.values():
            waiting.cancel()
        await asyncio.gather(*self._waiting.values(), return_exceptions=True)

    async def _wait(self, container_id: ContainerId, wait_ns: int) -> None:
        await asyncio.sleep(max(0, wait_ns) / NANOSECONDS)
        # From here on it is no wait that could be cancelled, but a start.
        if self._waiting.get(container_id) is asyncio.current_task():
            del self._waiting[container_id]
        try:
            await self._start(container_id)
        except WherryError as error:
            _log.warning("restart.failed container=%s error=%s", container_id, error)
            container = self._records.get(container_id)
            if container is not None:
                self._waiters.exited(container_id, replace(last_exit(container), error=""))
        except Exception:
            _log.exception("restart.failed container=%s", container_id)


def _planned(ended: Container, delay_ns: int) -> Container:
    status = ended.status
    return replace(
        ended,
        status=replace(
            status,
            state=next_state(status.state, ContainerEvent.RESTART_PLANNED),
            restart_count=status.restart_count + (delay_ns > 0),
            restart_delay_ns=delay_ns,
        ),
    )


def _is_idle(container: Container) -> bool:
    return container.status.state is ContainerState.EXITED
