"""Health checks: a command that joins a container now and then, and what its ends say.

Theory of operation. One coroutine per container that has a health check sleeps until the next
probe is due, which is the same as waiting, with a time-out, for the container's end. The time is
counted from the end of the last probe (as Docker does), by the time stamp of its process's end,
so what we need for the bookkeeping does not add up.

Each result is shown at once, but only a change of the state is worth a commit.
"""

import asyncio
import logging
import signal
from collections.abc import Callable

from wherry.engine.containers.exec_requests import ExecRequests
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.probes import Probe, ends_within
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, own_task
from wherry.kit.clock import Clock
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import replace
from wherry.model.containers import Container, ExecSpec
from wherry.model.errors import WherryError
from wherry.model.health import (
    DEFAULT_TIMEOUT_NS,
    WHEN_UNHEALTHY,
    HealthCheck,
    HealthState,
    ProbeResult,
    after_probe,
    pause_before_probe_ns,
)
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerState
from wherry.tasks import Task

_log = logging.getLogger(__name__)


class HealthMonitor:
    """Probes every running container that asks for it."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        live: LiveContainers,
        requests: ExecRequests,
        events: EventLog,
        told_as: Callable[[WherryError], str],
        clock: Clock,
    ) -> None:
        """`told_as` is how a user is told of a probe that could not be run."""
        self._records = records
        self._locks = locks
        self._live = live
        self._requests = requests
        self._events = events
        self._told_as = told_as
        self._clock = clock
        self._watching: dict[ContainerId, asyncio.Task[None]] = {}

    def watch(self, container: Container, task: Task, *, since_ns: int = 0) -> None:
        """Probe a container that runs until it ends; nothing happens without a health check.

        What was overdue before `since_ns` is not made good.
        """
        check, is_running = container.spec.health, container.status.state is ContainerState.RUNNING
        if check is None or container.status.health is None or not is_running:
            return
        watching = own_task(self._watch(container, task, check, since_ns))
        self._watching[container.id] = watching
        watching.add_done_callback(lambda _: self._forget(container.id, watching))

    async def pause(self, container_id: ContainerId) -> None:
        """Probe no more, and end a probe that is under way: its result would be of no worth.

        Preconditions: the container's lock is held, so that no result is being recorded.
        """
        watching = self._watching.get(container_id)
        if watching is not None:
            watching.cancel()
            await asyncio.wait((watching,))

    async def resume(self, container: Container, task: Task) -> None:
        """Probe again; the first time after a whole interval, as Docker does."""
        self.watch(container, task, since_ns=self._clock.now_ns())

    async def close(self) -> None:
        """Stop probing; the next engine goes on."""
        watching = tuple(self._watching.values())
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    def _forget(self, container_id: ContainerId, watching: "asyncio.Task[None]") -> None:
        if self._watching.get(container_id) is watching:
            del self._watching[container_id]

    # -- the rhythm --------------------------------------------------------------------------

    async def _watch(
        self, container: Container, task: Task, check: HealthCheck, since_ns: int
    ) -> None:
        ended = asyncio.ensure_future(task.wait())
        command = check.command(container.spec.shell)
        spec = ExecSpec(container_id=container.id, command=command)
        probe = Probe(
            container=container,
            task=task,
            command=" ".join(command),
            request=await self._requests.of(container, spec, can_be_ended=True),
            timeout_ns=check.timeout_ns or DEFAULT_TIMEOUT_NS,
            told_as=self._told_as,
            clock=self._clock,
            events=self._events,
        )
        try:
            while not await ends_within(
                ended, self._seconds_to_probe(container.id, check, since_ns)
            ):
                await self._take(container.id, task, check, await probe.run())
        except Exception:
            _log.exception("health.not_probed container=%s", container.id)
        finally:
            ended.cancel()

    def _seconds_to_probe(
        self, container_id: ContainerId, check: HealthCheck, since_ns: int
    ) -> float:
        container = self._records.get(container_id)
        if container is None or container.status.health is None:
            return 0
        health, now_ns = container.status.health, self._clock.now_ns()
        started_at_ns = container.status.started_at_ns or now_ns
        pause_ns = pause_before_probe_ns(health, check, container_age_ns=now_ns - started_at_ns)
        probed_at_ns = health.log[-1].ended_at_ns if health.log else 0
        counted_from_ns = max(probed_at_ns, started_at_ns, since_ns)
        # At most the whole pause, whatever the wall clock did meanwhile. What is overdue, because
        # no engine was there, is made good once.
        due_ns = min(counted_from_ns + pause_ns, now_ns + pause_ns)
        return max(0, due_ns - now_ns) / NANOSECONDS

    async def _take(
        self, container_id: ContainerId, task: Task, check: HealthCheck, result: ProbeResult
    ) -> None:
        """Add a result to the record."""
        async with self._locks.held(container_id):
            container = self._records.get(container_id)
            if container is None or not container.is_alive or container.status.health is None:
                return
            if self._live.task(container_id) is not task:
                return
            before = container.status.health
            started_at_ns = container.status.started_at_ns or result.started_at_ns
            health = after_probe(before, result, check, container_started_at_ns=started_at_ns)
            probed = replace(container, status=replace(container.status, health=health))
            if health.state is before.state:
                self._records.show(probed)
                return
            await self._records.note(probed)
        self._events.container(f"health_status: {health.state.value}", probed)
        is_unwanted = probed.spec.labels.get(WHEN_UNHEALTHY) == "kill"
        if health.state is HealthState.UNHEALTHY and is_unwanted:
            self._events.container("kill", probed, signal=str(signal.SIGKILL.value))
            await task.signal(signal.SIGKILL)
