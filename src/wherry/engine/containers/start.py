"""From a record to a running process; every step is undone when a later one fails."""

from collections.abc import Callable

from wherry.engine.containers.announcements import Announcements
from wherry.engine.containers.assembly import ContainerAssembly
from wherry.engine.containers.exits import ExitWatcher
from wherry.engine.containers.failures import exit_code_of
from wherry.engine.containers.io import Attachments
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.watchers import Watchers
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.values import replace
from wherry.model.containers import Container, ContainerStatus
from wherry.model.errors import WherryError
from wherry.model.errors.containers import ContainerPaused, RemovalInProgress
from wherry.model.health import first_health
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerEvent, ContainerState, next_state
from wherry.model.outcomes import StartOutcome
from wherry.networks import Sandbox
from wherry.tasks import Task


class StartContainer:
    """The verb `start`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        assembly: ContainerAssembly,
        live: LiveContainers,
        attachments: Attachments,
        exits: ExitWatcher,
        watchers: Watchers,
        announcements: Announcements,
        told_as: Callable[[WherryError], str],
        clock: Clock,
    ) -> None:
        """`told_as` is how a user is told of a failure: the words to remember it by."""
        self._records = records
        self._locks = locks
        self._assembly = assembly
        self._live = live
        self._attachments = attachments
        self._exits = exits
        self._watchers = watchers
        self._announcements = announcements
        self._told_as = told_as
        self._clock = clock

    async def __call__(self, reference: str) -> StartOutcome:
        """Bring a created or exited container to RUNNING; undo everything if any step fails.

        Raises: ContainerNotFound, ContainerPaused, RemovalInProgress, and what
        `ContainerAssembly.assemble` raises. A failed start is recorded with its exit code.
        """
        container_id = self._records.find(reference).id
        try:
            async with self._locks.held(container_id):
                return await self._start_unless_running(self._records.find(container_id))
        except WherryError:
            await self._exits.remove_if_asked(container_id)
            raise

    async def again(self, container_id: ContainerId) -> None:
        """The start that a restart policy planned, unless somebody decided otherwise meanwhile.

        Raises: as a start by a user.
        """
        async with self._locks.held(container_id):
            container = self._records.get(container_id)
            if container is not None and container.status.state is ContainerState.RESTARTING:
                await self._start_or_record(container)

    async def _start_unless_running(self, container: Container) -> StartOutcome:
        match container.status.state:
            case ContainerState.RUNNING | ContainerState.RESTARTING:
                return StartOutcome.ALREADY_RUNNING
            case ContainerState.PAUSED:
                raise ContainerPaused(container.id)
            case ContainerState.REMOVING | ContainerState.DEAD:
                raise RemovalInProgress(container.id)
            case _:
                pass
        fresh = replace(container.status, restart_count=0, restart_delay_ns=0)
        await self._start_or_record(replace(container, status=fresh))
        return StartOutcome.STARTED

    async def _start_or_record(self, container: Container) -> None:
        try:
            await self._start(container)
        except WherryError as error:
            await self._record_failure(container, error)
            raise

    async def _start(self, container: Container) -> None:
        async with UndoStack() as undo:
            task, sandbox = await self._assembly.assemble(container, undo)
            await self._attachments.bind(container, task)
            await self._watchers.prepare(container, undo)
            await task.start()
            running = self._running(container, task, sandbox)
            await self._records.replace(running)
            self._live.enter(container.id, task, sandbox)
            self._watchers.watch(running, task)
            undo.keep()
        await self._assembly.follow_links(running)
        self._announcements.started(running)

    def _running(self, container: Container, task: Task, sandbox: Sandbox) -> Container:
        return replace(
            container,
            endpoints=sandbox.endpoints,
            explicit_stop=False,
            status=ContainerStatus(
                state=next_state(container.status.state, ContainerEvent.STARTED),
                pid=task.pid,
                started_at_ns=self._clock.now_ns(),
                finished_at_ns=container.status.finished_at_ns,
                restart_count=container.status.restart_count,
                restart_delay_ns=container.status.restart_delay_ns,
                health=first_health(container.spec.health, container.spec.shell),
            ),
        )

    async def _record_failure(self, container: Container, error: WherryError) -> None:
        failed = replace(
            container,
            status=replace(
                container.status,
                state=next_state(container.status.state, ContainerEvent.START_FAILED),
                exit_code=exit_code_of(error),
                error=self._told_as(error),
            ),
        )
        self._attachments.drop(container.id)
        await self._records.note(failed)
