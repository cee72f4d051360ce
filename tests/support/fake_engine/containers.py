"""Containers, commands in them and their files, over a fake engine's dictionaries."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from support.fake_engine.state import (
    BRIDGE_ID,
    IMAGE_ID,
    SECOND,
    FakeState,
    FakeStream,
)
from wherry.kit.streams import STDOUT, frame
from wherry.model.containers import (
    Container,
    ContainerSpec,
    ContainerStatus,
    ExecSpec,
    ExecStatus,
)
from wherry.model.errors.containers import (
    CommandNotFound,
    ContainerNameTaken,
    ContainerNotFound,
    ContainerNotPaused,
    ContainerNotRunning,
    ContainerPaused,
    ContainerRunning,
    ExecAlreadyStarted,
    ExecNotFound,
    NothingToKill,
    PathNotFound,
    UpdateRefused,
)
from wherry.model.errors.images import ImageNotFound
from wherry.model.files import Change, CopyRules, PathState
from wherry.model.ids import (
    ContainerId,
    EndpointId,
    ExecId,
    ImageId,
)
from wherry.model.images import (
    CommitRequest,
)
from wherry.model.lifecycle import ContainerState
from wherry.model.networks import (
    EndpointStatus,
    PublishedPort,
)
from wherry.model.outcomes import (
    CreateOutcome,
    StartOutcome,
    StopOutcome,
    WaitCondition,
)
from wherry.model.queries import (
    AttachRequest,
    ContainerDetails,
    ContainerQuery,
    LogLine,
    LogQuery,
    ProcessTable,
)
from wherry.model.stats import UsageSample
from wherry.model.tasks import ExitRecord
from wherry.model.updates import ContainerChanges, changed_limits


@dataclass
class FakeContainers:
    """The containers of a fake engine."""

    engine: FakeState

    async def create(self, spec: ContainerSpec, *, name: str, platform: str = "") -> CreateOutcome:
        engine = self.engine
        engine.note("create", spec, name, platform)
        if not any(spec.image in (key, key.partition(":")[0]) for key in engine.images):
            raise ImageNotFound(spec.image)
        for each in engine.containers.values():
            if name and each.name == name.removeprefix("/"):
                raise ContainerNameTaken(each.name, each.id)
        container_id = ContainerId(engine.next_id())
        engine.containers[container_id] = Container(
            id=container_id,
            name=name.removeprefix("/") or f"name_{len(engine.containers)}",
            created_at_ns=engine.clock.now_ns(),
            image_id=IMAGE_ID,
            spec=replace(spec, hostname=spec.hostname or container_id[:12]),
            status=ContainerStatus(state=ContainerState.CREATED),
            endpoints=(
                EndpointStatus(
                    endpoint_id=EndpointId(""), network_id=BRIDGE_ID, network_name="bridge"
                ),
            ),
        )
        return CreateOutcome(container_id=container_id)

    async def start(self, reference: str) -> StartOutcome:
        engine = self.engine
        container = engine.find(reference)
        engine.note("start", reference)
        if container.status.state is ContainerState.RUNNING:
            return StartOutcome.ALREADY_RUNNING
        if container.status.state is ContainerState.PAUSED:
            raise ContainerPaused(container.id)
        published = tuple(
            PublishedPort(port=each.port, host_address="0.0.0.0", host_port=each.host_port)
            for each in container.spec.network.bindings
        )
        endpoint = replace(
            container.endpoints[0],
            endpoint_id=EndpointId("e" * 64),
            address="172.17.0.2",
            prefix_length=16,
            gateway="172.17.0.1",
            mac_address="02:42:ac:11:00:02",
            published=published,
        )
        engine.set_state(
            replace(container, endpoints=(endpoint,)),
            state=ContainerState.RUNNING,
            pid=4711,
            started_at_ns=engine.clock.now_ns(),
        )
        return StartOutcome.STARTED

    async def stop(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> StopOutcome:
        self.engine.note("stop", reference, signal, timeout_s)
        if self.engine.find(reference).status.state is not ContainerState.RUNNING:
            return StopOutcome.ALREADY_STOPPED
        self.engine.end(reference, 143)
        return StopOutcome.STOPPED

    async def restart(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> None:
        await self.stop(reference, signal=signal, timeout_s=timeout_s)
        await self.start(reference)

    async def kill(self, reference: str, *, signal: str = "") -> None:
        self.engine.note("kill", reference, signal)
        container = self.engine.find(reference)
        if container.status.state is not ContainerState.RUNNING:
            raise NothingToKill(reference, container.id)
        self.engine.end(reference, 137)

    async def pause(self, reference: str) -> None:
        container = self._running(reference)
        self.engine.set_state(container, state=ContainerState.PAUSED)

    async def unpause(self, reference: str) -> None:
        container = self.engine.find(reference)
        if container.status.state is not ContainerState.PAUSED:
            raise ContainerNotPaused(container.id)
        self.engine.set_state(container, state=ContainerState.RUNNING)

    async def update(self, reference: str, changes: ContainerChanges) -> tuple[str, ...]:
        container = self.engine.find(reference)
        problem, limits = changed_limits(container.spec.limits, changes)
        if problem:
            raise UpdateRefused(container.id, problem)
        spec = replace(container.spec, limits=limits)
        self.engine.containers[container.id] = replace(container, spec=spec)
        return ()

    async def rename(self, reference: str, new_name: str) -> None:
        container = self.engine.find(reference)
        self.engine.containers[container.id] = replace(container, name=new_name)

    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        removes_volumes: bool = False,
        removes_link: bool = False,
    ) -> None:
        container = self.engine.find(reference)
        self.engine.note("remove", reference, is_forced)
        state = container.status.state
        if state in (ContainerState.RUNNING, ContainerState.PAUSED):
            if not is_forced:
                raise ContainerRunning(container.id, state.value)
            self.engine.end(reference, 137)
        del self.engine.containers[container.id]

    async def wait(self, reference: str, condition: WaitCondition) -> Awaitable[ExitRecord]:
        container = self.engine.find(reference)
        self.engine.note("wait", reference, condition)
        ending: asyncio.Future[ExitRecord] = asyncio.get_running_loop().create_future()
        if container.status.state is ContainerState.EXITED and (
            condition is WaitCondition.NOT_RUNNING
        ):
            ending.set_result(ExitRecord(exit_code=container.status.exit_code, exited_at_ns=0))
        else:
            self.engine.endings.setdefault(container.id, []).append(ending)
        return ending

    async def resize(self, reference: str, *, rows: int, columns: int) -> None:
        self.engine.note("resize", self._running(reference).name, rows, columns)

    async def attach(self, reference: str, request: AttachRequest) -> FakeStream:
        container = self.engine.find(reference)
        self.engine.note("attach", reference, request)
        if container.status.state is ContainerState.PAUSED:
            raise ContainerPaused(container.id)
        return self.engine.stream_of(container.id)

    async def logs(self, reference: str, query: LogQuery) -> AsyncIterator[Sequence[LogLine]]:
        self.engine.find(reference)
        self.engine.note("logs", reference, query)
        return self._lines(query)

    async def _lines(self, query: LogQuery) -> AsyncIterator[Sequence[LogLine]]:
        for line in self.engine.log:
            yield [line]
        if query.follows:
            await asyncio.Event().wait()

    async def get(self, reference: str) -> Container:
        return self.engine.find(reference)

    async def inspect(self, reference: str, *, wants_size: bool = False) -> ContainerDetails:
        container = self.engine.find(reference)
        return ContainerDetails(
            container=container,
            image=next(iter(self.engine.images.values())),
            log_path=f"/data/containers/{container.id}/{container.id}-json.log",
            sandbox_path="/run/netns/abc" if container.status.pid else "",
            hosts_path="/data/hosts",
            resolv_conf_path="/data/resolv.conf",
            hostname_path="/data/hostname",
            graph_driver="overlay2",
            graph_data={"UpperDir": "/data/upper"},
            exec_ids=(),
            size_rw_bytes=10 if wants_size else None,
            size_rootfs_bytes=1_234_577 if wants_size else None,
        )

    async def list(self, query: ContainerQuery) -> Sequence[Container]:
        self.engine.note("list", query)
        found = [
            each
            for each in reversed(self.engine.containers.values())
            if query.wants_all or each.status.state is ContainerState.RUNNING
        ]
        return found[: query.limit] if query.limit else found

    async def names_by_links(self) -> Mapping[ContainerId, Sequence[str]]:
        return {}

    async def top(self, reference: str, ps_arguments: str) -> ProcessTable:
        self._running(reference)
        self.engine.note("top", reference, ps_arguments)
        return ProcessTable(titles=("PID", "CMD"), rows=(("4711", "sleep 10"),))

    async def stats(self, reference: str) -> AsyncIterator[UsageSample]:
        return self._samples(self.engine.find(reference))

    async def stats_once(self, reference: str) -> UsageSample:
        container = self.engine.find(reference)
        return UsageSample(container_id=container.id, name=container.name)

    async def _samples(self, container: Container) -> AsyncIterator[UsageSample]:
        yield UsageSample(container_id=container.id, name=container.name)

    def _running(self, reference: str) -> Container:
        container = self.engine.find(reference)
        if container.status.state is ContainerState.PAUSED:
            raise ContainerPaused(container.id)
        if container.status.state is not ContainerState.RUNNING:
            raise ContainerNotRunning(container.id)
        return container


@dataclass
class FakeExecs:
    """Exec sessions; a command `nope` is not found, all others succeed."""

    engine: FakeState

    async def create(self, reference: str, spec: ExecSpec) -> ExecId:
        container = self.engine.find(reference)
        self.engine.note("exec create", reference, spec)
        if container.status.state is ContainerState.PAUSED:
            raise ContainerPaused(container.id)
        if container.status.state is not ContainerState.RUNNING:
            raise ContainerNotRunning(container.id)
        exec_id = ExecId(self.engine.next_id())
        self.engine.execs[exec_id] = ExecStatus(
            id=exec_id, spec=replace(spec, container_id=container.id)
        )
        return exec_id

    async def start(
        self, exec_id: str, *, is_detached: bool, rows: int = 0, columns: int = 0
    ) -> FakeStream | None:
        status = await self.inspect(exec_id)
        self.engine.note("exec start", exec_id, is_detached, rows, columns)
        if status.has_started:
            raise ExecAlreadyStarted(exec_id)
        if status.spec.command[0] == "nope":
            self.engine.execs[exec_id] = replace(status, has_started=True, exit_code=127)
            raise CommandNotFound("nope", in_search_path=True)
        self.engine.execs[exec_id] = replace(status, has_started=True, exit_code=0)
        if is_detached:
            return None
        stream = self.engine.stream_of(exec_id)
        if status.spec.command[0] == "echo":
            text = " ".join(status.spec.command[1:]).encode() + b"\n"
            stream.say(text if status.spec.is_tty else frame(STDOUT, text))
            stream.say(b"")
        return stream

    async def inspect(self, exec_id: str) -> ExecStatus:
        try:
            return self.engine.execs[exec_id]
        except KeyError:
            raise ExecNotFound(exec_id) from None

    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None:
        await self.inspect(exec_id)
        self.engine.note("exec resize", exec_id, rows, columns)


@dataclass
class FakeFiles:
    """Containers that all have one file, `/file`."""

    engine: FakeState
    unpacked: dict[str, bytes] = field(default_factory=dict)

    async def stat(self, reference: str, path: str) -> PathState:
        if reference not in self.engine.containers:
            raise ContainerNotFound(reference)
        if path != "/file":
            raise PathNotFound(reference, path)
        return PathState(name="file", size_bytes=7, mode=0o104755, modified_at_ns=SECOND)

    async def archive(
        self, reference: str, path: str
    ) -> tuple[PathState, AsyncGenerator[bytes, None]]:
        return await self.stat(reference, path), self._pieces()

    async def unpack(
        self, reference: str, path: str, archive: AsyncIterator[bytes], rules: CopyRules
    ) -> None:
        self.unpacked[path] = b"".join([piece async for piece in archive])

    async def export(self, reference: str) -> AsyncGenerator[bytes, None]:
        return self._pieces()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        yield b"content"


@dataclass
class FakeCommits:
    """Containers that all added one file."""

    engine: FakeState

    async def changes(self, reference: str) -> Sequence[Change]:
        if reference not in self.engine.containers:
            raise ContainerNotFound(reference)
        return [Change("/file", 1)]

    async def commit(self, reference: str, request: CommitRequest) -> ImageId:
        await self.changes(reference)
        return IMAGE_ID
