"""Commands that join running containers."""

import asyncio
import logging

from wherry.engine.containers.exec_requests import ExecRequests
from wherry.engine.containers.failures import exit_code_of
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.session_stream import SessionStream
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import own_task
from wherry.kit.random_ids import new_id
from wherry.kit.values import replace
from wherry.model.containers import Container, ExecSpec, ExecStatus
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import (
    ContainerNotRunning,
    ContainerPaused,
    ContainerRestarting,
    ExecAlreadyStarted,
    ExecNotFound,
)
from wherry.model.ids import ContainerId, ExecId
from wherry.model.lifecycle import ContainerState
from wherry.tasks import Task, TaskStream

KEPT_ENDED = 500
"""How many ended sessions can still be inspected."""

_log = logging.getLogger(__name__)


class ExecSessions:
    """Exec sessions by id: created, started once, inspected until they are forgotten."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        requests: ExecRequests,
        events: EventLog,
    ) -> None:
        self._records = records
        self._live = live
        self._requests = requests
        self._events = events
        self._sessions: dict[ExecId, ExecStatus] = {}
        self._watching: set[asyncio.Task[None]] = set()

    async def create(self, reference: str, spec: ExecSpec) -> ExecId:
        """Prepare a command. Raises: ContainerNotFound, ContainerNotRunning, ContainerPaused."""
        container = self._running(reference)
        if not spec.command:
            raise InvalidValue("No exec command specified")
        exec_id = ExecId(new_id())
        spec = replace(spec, container_id=container.id)
        self._sessions[exec_id] = ExecStatus(id=exec_id, spec=spec)
        self._forget_old()
        self._event("exec_create", container, exec_id, f"exec_create: {' '.join(spec.command)}")
        return exec_id

    async def start(
        self, exec_id: str, *, is_detached: bool, rows: int = 0, columns: int = 0
    ) -> SessionStream | None:
        """Run it; its streams, or None when detached.

        Raises: ExecNotFound, ExecAlreadyStarted, ContainerNotRunning, ContainerPaused,
        CommandNotFound, CommandNotExecutable, UserNotFound, StartFailed.
        """
        status = self._find(exec_id)
        if status.has_started:
            raise ExecAlreadyStarted(exec_id)
        container = self._running(status.spec.container_id)
        task = self._live.task(container.id)
        if rows and columns:
            status = replace(status, spec=replace(status.spec, rows=rows, columns=columns))
        self._sessions[status.id] = replace(status, has_started=True, is_running=True)
        stream: TaskStream | None = None
        try:
            if not is_detached:
                stream = await self._attach(task, status)
            pid = await task.exec(status.id, await self._requests.of(container, status.spec))
        except Exception as error:
            self._sessions[status.id] = replace(
                status, has_started=True, exit_code=exit_code_of(error)
            )
            if stream is not None:
                await stream.close()
            raise
        started = replace(self._sessions[status.id], pid=pid)
        self._sessions[status.id] = started
        command = " ".join(status.spec.command)
        self._event("exec_start", container, status.id, f"exec_start: {command}")
        recorded = self._watch(container, task, status.id)
        if stream is None:
            return None
        return SessionStream(
            stream,
            recorded,
            on_detached=lambda: self._event("exec_detach", container, status.id, "exec_detach"),
        )

    async def inspect(self, exec_id: str) -> ExecStatus:
        """What happened so far. Raises: ExecNotFound."""
        return self._find(exec_id)

    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None:
        """Tell the session's terminal its size. Raises: ExecNotFound, ContainerNotRunning."""
        status = self._find(exec_id)
        if not status.is_running:
            raise ContainerNotRunning(status.spec.container_id)
        task = self._live.task(status.spec.container_id)
        await task.resize(rows, columns, session=status.id)

    def ids_of(self, container_id: ContainerId) -> tuple[ExecId, ...]:
        """The sessions of a container that run now."""
        return tuple(
            each.id
            for each in self._sessions.values()
            if each.spec.container_id == container_id and each.is_running
        )

    def forget(self, container_id: ContainerId) -> None:
        """The container has been removed: so are its sessions."""
        for exec_id, status in tuple(self._sessions.items()):
            if status.spec.container_id == container_id:
                del self._sessions[exec_id]

    async def close(self) -> None:
        """Stop watching; the sessions go on."""
        for watching in tuple(self._watching):
            watching.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    # -- steps -------------------------------------------------------------------------------

    def _running(self, reference: str) -> Container:
        container = self._records.find(reference)
        if container.status.state is ContainerState.PAUSED:
            raise ContainerPaused(container.id)
        if container.status.state is ContainerState.RESTARTING:
            raise ContainerRestarting(container.id)
        if container.status.state is not ContainerState.RUNNING:
            raise ContainerNotRunning(container.id)
        return container

    def _find(self, exec_id: str) -> ExecStatus:
        status = self._sessions.get(ExecId(exec_id))
        if status is None:
            raise ExecNotFound(exec_id)
        return status

    async def _attach(self, task: Task, status: ExecStatus) -> TaskStream:
        spec = status.spec
        return await task.attach(
            session=status.id,
            stdin=spec.attaches_stdin,
            stdout=spec.attaches_stdout,
            stderr=spec.attaches_stderr,
        )

    def _watch(self, container: Container, task: Task, exec_id: ExecId) -> "asyncio.Task[None]":
        watching = own_task(self._record(container, task, exec_id))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        return watching

    async def _record(self, container: Container, task: Task, exec_id: ExecId) -> None:
        record = await task.wait(exec_id)
        status = self._sessions.get(exec_id)
        if status is not None:
            self._sessions[exec_id] = replace(
                status, is_running=False, exit_code=record.exit_code, pid=0
            )
        self._events.container(
            "exec_die", container, execID=exec_id, exitCode=str(record.exit_code)
        )

    def _event(self, kind: str, container: Container, exec_id: ExecId, action: str) -> None:
        _log.debug("%s container=%s exec=%s", kind, container.id, exec_id)
        self._events.container(action, container, execID=exec_id)

    def _forget_old(self) -> None:
        ended = [each.id for each in self._sessions.values() if each.exit_code is not None]
        for exec_id in ended[:-KEPT_ENDED]:
            del self._sessions[exec_id]
