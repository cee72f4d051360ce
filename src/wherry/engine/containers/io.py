"""Streams of containers: attach (also before the start), resize, logs."""

import asyncio
from collections.abc import AsyncIterator, Callable

from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.log_reading import ContainerLogs
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.streams import frames
from wherry.model.containers import Container
from wherry.model.errors.containers import ContainerPaused
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerState
from wherry.model.queries import AttachRequest, LogQuery
from wherry.tasks import Task, TaskStream


class AttachedStream:
    """The bytes of an attachment that may have been made before its container started.

    Until then `read` and `write` wait: the client's input stays in its socket.
    """

    def __init__(self, request: AttachRequest, *, on_detached: Callable[[], None]) -> None:
        self.request = request
        self._on_detached = on_detached
        self._bound: asyncio.Future[TaskStream | None] = asyncio.get_running_loop().create_future()

    def bind(self, stream: TaskStream | None) -> None:
        """Connect to the task; None: there will be no output."""
        if not self._bound.done():
            self._bound.set_result(stream)

    @property
    def is_bound(self) -> bool:
        """Whether the wait is over."""
        return self._bound.done()

    async def read(self) -> bytes:
        """The next bytes of output; empty at the end."""
        stream = await asyncio.shield(self._bound)
        return b"" if stream is None else await stream.read()

    async def write(self, data: bytes) -> None:
        """Pass input on."""
        stream = await asyncio.shield(self._bound)
        if stream is not None:
            await stream.write(data)

    async def close_stdin(self) -> None:
        """The client's input has ended."""
        stream = await asyncio.shield(self._bound)
        if stream is not None:
            await stream.close_stdin()

    def tell_detached(self) -> None:
        """The user typed the keys to leave."""
        self._on_detached()

    async def close(self) -> None:
        """Let go."""
        if not self._bound.done():
            self._bound.set_result(None)
            return
        stream = self._bound.result()
        if stream is not None:
            await stream.close()


class RecordedStream:
    """Output of the past (`attach?logs=1`), then a live stream if one is wanted."""

    def __init__(self, past: AsyncIterator[bytes] | None, live: AttachedStream | None) -> None:
        self._past = past
        self._live = live

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        if self._past is not None:
            async for chunk in self._past:
                return chunk
            self._past = None
        return b"" if self._live is None else await self._live.read()

    async def write(self, data: bytes) -> None:
        """Pass input on."""
        if self._live is not None:
            await self._live.write(data)

    async def close_stdin(self) -> None:
        """The client's input has ended."""
        if self._live is not None:
            await self._live.close_stdin()

    def tell_detached(self) -> None:
        """The user typed the keys to leave."""
        if self._live is not None:
            self._live.tell_detached()

    async def close(self) -> None:
        """Let go."""
        if self._live is not None:
            await self._live.close()


class Attachments:
    """Attachments that wait for their container to start."""

    def __init__(self) -> None:
        self._pending: dict[ContainerId, list[AttachedStream]] = {}

    def await_start(self, container_id: ContainerId, stream: AttachedStream) -> None:
        """Have an attachment begin with the container's next start."""
        others = self._pending.get(container_id, ())
        self._pending[container_id] = [*(each for each in others if not each.is_bound), stream]

    async def bind(self, container: Container, task: Task) -> None:
        """Connect those who wait, before the first byte is written."""
        for stream in self._pending.pop(container.id, ()):
            if not stream.is_bound:
                stream.bind(await open_stream(container, task, stream.request))

    def drop(self, container_id: ContainerId) -> None:
        """The container will not start: end the waiting."""
        for stream in self._pending.pop(container_id, ()):
            stream.bind(None)


async def open_stream(container: Container, task: Task, request: AttachRequest) -> TaskStream:
    """Attach to a task with the streams that the request and the container both want."""
    return await task.attach(
        stdin=request.wants_stdin and container.spec.terminal.opens_stdin,
        stdout=request.wants_stdout,
        stderr=request.wants_stderr,
    )


class ContainerStreams:
    """The verbs attach and resize."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        attachments: Attachments,
        logs: ContainerLogs,
        events: EventLog,
    ) -> None:
        self._records = records
        self._live = live
        self._attachments = attachments
        self._logs = logs
        self._events = events

    async def attach(
        self, reference: str, request: AttachRequest
    ) -> AttachedStream | RecordedStream:
        """The container's streams, now or from its next start.

        Raises: ContainerNotFound, ContainerPaused, LogsNotReadable.
        """
        container = self._records.find(reference)
        if container.status.state is ContainerState.PAUSED:
            raise ContainerPaused(container.id)
        live = await self._live_stream(container, request) if request.wants_stream else None
        self._events.container("attach", container)
        if request.wants_logs:
            return RecordedStream(await self._past(container, request), live)
        return live or RecordedStream(None, None)

    async def resize(self, reference: str, *, rows: int, columns: int) -> None:
        """Tell the container's terminal its size, in characters.

        Raises: ContainerNotFound, ContainerNotRunning.
        """
        container = self._records.find(reference)
        await self._live.task(container.id).resize(rows, columns)
        self._events.container("resize", container, height=str(rows), width=str(columns))

    async def _live_stream(self, container: Container, request: AttachRequest) -> AttachedStream:
        stream = AttachedStream(
            request, on_detached=lambda: self._events.container("detach", container)
        )
        if container.is_alive:
            task = self._live.task(container.id)
            stream.bind(await open_stream(container, task, request))
        else:
            self._attachments.await_start(container.id, stream)
        return stream

    async def _past(self, container: Container, request: AttachRequest) -> AsyncIterator[bytes]:
        query = LogQuery(wants_stdout=request.wants_stdout, wants_stderr=request.wants_stderr)
        batches = await self._logs(container.id, query)
        is_tty = container.spec.terminal.is_tty

        async def chunks() -> AsyncIterator[bytes]:
            async for batch in batches:
                if is_tty:
                    yield b"".join(line.content for line in batch)
                else:
                    yield frames((line.stream, line.content) for line in batch)

        return chunks()
