"""Health checks: a command that joins a container now and then, and what its ends say.

Theory of operation. One coroutine per container that has a health check sleeps until the next
probe is due, which is the same as waiting, with a time-out, for the container's end. The time is
counted from the end of the last probe (as Docker does), by the time stamp of its process's end,
so what we need for the bookkeeping does not add up. A probe has a cgroup of its own: when its time
is over, everything in there is killed.

Each result is shown at once, but only a change of the state is worth a commit.
"""

import asyncio
import logging
import signal
from collections.abc import Callable

from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.seccomp_programs import SeccompPrograms
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, OffloadPool, own_task
from wherry.kit.clock import Clock
from wherry.kit.durations import duration_text
from wherry.kit.random_ids import new_id
from wherry.kit.streams import Unframer
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import replace
from wherry.model.containers import Container, ExecSpec
from wherry.model.errors import WherryError
from wherry.model.health import (
    DEFAULT_TIMEOUT_NS,
    KEPT_OUTPUT_BYTES,
    NOT_RUN,
    WHEN_UNHEALTHY,
    HealthCheck,
    HealthState,
    ProbeResult,
    after_probe,
    pause_before_probe_ns,
)
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerState
from wherry.model.tasks import ExitRecord
from wherry.specgen import HostFacts, container_seccomp, exec_process
from wherry.tasks import ExecRequest, Task, TaskStream

_KILLED_WITHIN_S = 1.0

_log = logging.getLogger(__name__)


class HealthMonitor:
    """Probes every running container that asks for it."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        live: LiveContainers,
        seccomp: SeccompPrograms,
        events: EventLog,
        host: HostFacts,
        offload: OffloadPool,
        told_as: Callable[[WherryError], str],
        clock: Clock,
    ) -> None:
        """`told_as` is how a user is told of a probe that could not be run."""
        self._records = records
        self._locks = locks
        self._live = live
        self._seccomp = seccomp
        self._events = events
        self._host = host
        self._offload = offload
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
        probe = _Probe(
            container=container,
            task=task,
            command=check.command(container.spec.shell),
            timeout_ns=check.timeout_ns or DEFAULT_TIMEOUT_NS,
            seccomp_program=await self._program(container),
            host=self._host,
            told_as=self._told_as,
            clock=self._clock,
            events=self._events,
        )
        try:
            while not await _ends_within(
                ended, self._seconds_to_probe(container.id, check, since_ns)
            ):
                await self._take(container.id, task, check, await probe.run())
        except Exception:
            _log.exception("health.not_probed container=%s", container.id)
        finally:
            ended.cancel()

    async def _program(self, container: Container) -> str:
        filter_ = container_seccomp(container.spec.security, self._host)
        return await self._offload(self._seccomp.path_of, filter_)

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


async def _ends_within(ended: "asyncio.Future[ExitRecord]", seconds: float) -> bool:
    done, _pending = await asyncio.wait((ended,), timeout=seconds)
    return bool(done)


# -- one probe -------------------------------------------------------------------------------


class _Probe:
    """Runs the command of a health check in its container."""

    def __init__(
        self,
        *,
        container: Container,
        task: Task,
        command: tuple[str, ...],
        timeout_ns: int,
        seccomp_program: str,
        host: HostFacts,
        told_as: Callable[[WherryError], str],
        clock: Clock,
        events: EventLog,
    ) -> None:
        self._container = container
        self._told_as = told_as
        self._task = task
        self._timeout_ns = timeout_ns
        self._command = " ".join(command)
        self._clock = clock
        self._events = events
        self._request = ExecRequest(
            process=exec_process(
                container, ExecSpec(container_id=container.id, command=command), host=host
            ),
            user=container.spec.user,
            group_add=container.spec.security.group_add,
            seccomp_program=seccomp_program,
            opens_stdin=False,
            can_be_ended=True,
        )

    async def run(self) -> ProbeResult:
        """Run it once, and kill it with all that it has started when its time is over."""
        started_at_ns = self._clock.now_ns()
        session = new_id()
        output = _Output()
        try:
            stream = await self._task.attach(
                session=session, stdin=False, stdout=True, stderr=True
            )
        except WherryError as error:
            return self._failed(started_at_ns, error)
        reading = asyncio.ensure_future(output.read_from(stream))
        try:
            self._tell("exec_create", session)
            await self._task.exec(session, self._request)
            self._tell("exec_start", session)
            return await self._result(session, started_at_ns, output, reading)
        except WherryError as error:
            return self._failed(started_at_ns, error)
        except asyncio.CancelledError:
            await self._task.end(session)
            raise
        finally:
            reading.cancel()
            await stream.close()

    async def _result(
        self, session: str, started_at_ns: int, output: "_Output", reading: "asyncio.Task[None]"
    ) -> ProbeResult:
        ended = asyncio.ensure_future(self._task.wait(session))
        if not await _ends_within(ended, self._timeout_ns / NANOSECONDS):
            await self._task.end(session)
            if not await _ends_within(ended, _KILLED_WITHIN_S):
                _log.warning("health.probe_lives_on container=%s", self._container.id)
                ended.cancel()
            said = f": {output.text}" if output.text else ""
            text = f"Health check exceeded timeout ({duration_text(self._timeout_ns)}){said}"
            return ProbeResult(
                started_at_ns=started_at_ns,
                ended_at_ns=self._clock.now_ns(),
                exit_code=NOT_RUN,
                output=text,
            )
        record = await ended
        # Its output ends with it; a child that it left behind may hold it open, though.
        await asyncio.wait((reading,), timeout=_KILLED_WITHIN_S)
        exit_code = str(record.exit_code)
        self._events.probe("exec_die", self._container, session, exitCode=exit_code)
        return ProbeResult(
            started_at_ns=started_at_ns,
            ended_at_ns=max(record.exited_at_ns, started_at_ns),
            exit_code=record.exit_code,
            output=output.text,
        )

    def _failed(self, started_at_ns: int, error: WherryError) -> ProbeResult:
        return ProbeResult(
            started_at_ns=started_at_ns,
            ended_at_ns=self._clock.now_ns(),
            exit_code=NOT_RUN,
            output=self._told_as(error),
        )

    def _tell(self, action: str, session: str) -> None:
        self._events.probe(f"{action}: {self._command}", self._container, session)


class _Output:
    """The beginning of what a probe said; the rest is read and dropped."""

    def __init__(self) -> None:
        self._kept = b""
        self._is_cut = False

    @property
    def text(self) -> str:
        """What was kept, with dots where there was more."""
        return self._kept.decode("utf-8", "replace") + ("..." if self._is_cut else "")

    async def read_from(self, stream: TaskStream) -> None:
        """Until its end."""
        unframer = Unframer()
        while data := await stream.read():
            for _number, payload in unframer.feed(data):
                room = KEPT_OUTPUT_BYTES - len(self._kept)
                self._kept += payload[:room]
                self._is_cut = self._is_cut or len(payload) > room
