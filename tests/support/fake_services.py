"""An engine of dictionaries behind the API's protocols: no kernel, no disk, no time of its own.

Containers start, take input, write what a test makes them write, and end when told to. Every
call is remembered in `calls`, so that a test can say what the API asked for.
"""

import asyncio
import itertools
import os
import socket
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.fake_clock import FakeClock
from wherry.api import Services, serve
from wherry.api.services import CredentialSource
from wherry.builder import ClientOffers
from wherry.kit.streams import STDOUT, frame
from wherry.model.builds import (
    BuildDone,
    BuildEvent,
    BuildRequest,
    CachePrune,
    CacheRecord,
    KeptBuild,
    SentPart,
)
from wherry.model.containers import (
    Container,
    ContainerSpec,
    ContainerStatus,
    ExecSpec,
    ExecStatus,
)
from wherry.model.errors import (
    CommandNotFound,
    ContainerNameTaken,
    ContainerNotFound,
    ContainerNotPaused,
    ContainerNotRunning,
    ContainerPaused,
    ContainerRunning,
    ExecAlreadyStarted,
    ExecNotFound,
    ImageNotFound,
    InvalidValue,
    ManifestUnknown,
    NetworkNotFound,
    NothingToKill,
    PathNotFound,
    PluginNotFound,
    UpdateRefused,
    VolumeNotFound,
    VolumeSnapshotNotFound,
    WherryError,
)
from wherry.model.events import Event
from wherry.model.files import Change, CopyRules, PathState
from wherry.model.ids import (
    ChainId,
    ContainerId,
    DiffId,
    EndpointId,
    ExecId,
    ImageId,
    NetworkId,
)
from wherry.model.images import (
    CommitRequest,
    DescribedImage,
    DistributionImage,
    EmulatedPlatform,
    FoundRepository,
    HistoryEntry,
    Image,
    ImageConfig,
    Layer,
    RegistryLogin,
)
from wherry.model.lifecycle import ContainerState
from wherry.model.networks import (
    AddressRange,
    EndpointStatus,
    EndpointWish,
    Network,
    NetworkRequest,
    PublishedPort,
)
from wherry.model.outcomes import (
    CreateOutcome,
    Progress,
    PrunedContainers,
    PrunedImages,
    PrunedNetworks,
    Removal,
    StartOutcome,
    StopOutcome,
    WaitCondition,
)
from wherry.model.plugins import ManagedPlugin, PluginPrivilege
from wherry.model.queries import (
    AttachRequest,
    ContainerDetails,
    ContainerQuery,
    ContainerSizes,
    EngineInfo,
    Filters,
    ImageSizes,
    LogLine,
    LogQuery,
    ProcessTable,
)
from wherry.model.reaching import Hop, Reach, ReachQuestion, ReachVerdict
from wherry.model.reasons import Cause, Certainty, Reason
from wherry.model.stats import UsageSample
from wherry.model.tasks import ExitRecord
from wherry.model.updates import ContainerChanges, changed_limits
from wherry.model.volumes import (
    Consistency,
    SnapshotMethod,
    Volume,
    VolumePrune,
    VolumeSnapshot,
    VolumeSpec,
    VolumeUsage,
)
from wherry.registry import Credentials
from wherry.snapshots import Compression

SECOND = 1_000_000_000
BRIDGE_ID = NetworkId("b" * 64)
IMAGE_ID = ImageId("sha256:" + "1" * 64)

BRIDGE = Network(
    id=BRIDGE_ID,
    name="bridge",
    driver="bridge",
    created_at_ns=1_699_000_000 * SECOND,
    ranges=(AddressRange(subnet="172.17.0.0/16", gateway="172.17.0.1"),),
    options={"com.docker.network.bridge.name": "docker0"},
    is_builtin=True,
)


class FakeStream:
    """Streams of a container: the test writes the output and reads the input."""

    def __init__(self, *, echoes: bool = False) -> None:
        self._output: asyncio.Queue[bytes] = asyncio.Queue()
        self._echoes = echoes
        self.received = bytearray()
        self.is_input_closed = asyncio.Event()
        self.is_closed = asyncio.Event()

    def say(self, data: bytes) -> None:
        """Output, as it goes over the wire; empty ends it."""
        self._output.put_nowait(data)

    async def read(self) -> bytes:
        """The next output."""
        return await self._output.get()

    async def write(self, data: bytes) -> None:
        """Input."""
        self.received += data
        if self._echoes:
            self.say(frame(STDOUT, data))

    async def close_stdin(self) -> None:
        """End of input; an echoing stream ends its output then."""
        self.is_input_closed.set()
        if self._echoes:
            self.say(b"")

    def tell_detached(self) -> None:
        """The user typed the keys."""
        self.is_detached = True

    async def close(self) -> None:
        """Let go."""
        self.is_closed.set()


def make_image(reference: str = "busybox:latest") -> Image:
    """A small image."""
    layer = Layer(
        diff_id=DiffId("sha256:" + "2" * 64),
        chain_id=ChainId("sha256:" + "2" * 64),
        size_bytes=1_234_567,
    )
    return Image(
        id=IMAGE_ID,
        references=(reference,),
        config=ImageConfig(command=("sh",), environment=("PATH=/bin",)),
        layers=(layer,),
        history=(
            HistoryEntry(created_at_ns=1_699_999_000 * SECOND, created_by="ADD file"),
            HistoryEntry(
                created_at_ns=1_699_999_001 * SECOND, created_by='CMD ["sh"]', is_empty_layer=True
            ),
        ),
        created_at_ns=1_699_999_001 * SECOND,
        size_bytes=1_234_567,
        tagged_at_ns=1_699_999_002 * SECOND,
    )


@dataclass
class FakeEngine:
    """All the state, and the services over it."""

    clock: FakeClock = field(default_factory=FakeClock)
    containers: dict[str, Container] = field(default_factory=dict)
    execs: dict[str, ExecStatus] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=lambda: {"busybox:latest": make_image()})
    streams: dict[str, FakeStream] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    fails: WherryError | Exception | None = None
    """Raised by the next verb."""
    echoes: bool = False
    endings: dict[str, list[asyncio.Future[ExitRecord]]] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)
    uploaded: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self.builds = FakeBuilds()

    def services(self) -> Services:
        """What the API is given."""
        return Services(
            containers=FakeContainers(self),
            execs=FakeExecs(self),
            images=FakeImages(self),
            builds=self.builds,
            build_history=FakeBuildHistory(),
            registries=FakeRegistries(self),
            networks=FakeNetworks(self),
            files=FakeFiles(self),
            commits=FakeCommits(self),
            volumes=(volumes := FakeVolumes()),
            volume_history=FakeVolumeHistory(volumes),
            plugins=FakePlugins,
            system=FakeSystem(self),
            events=FakeEvents(self),
            explanations=FakeExplanations(self),
            reasons=FakeReasons(self),
            sights=FakeSights(self),
            platforms=FakePlatforms(),
            prunes=FakePrunes(self),
            disk_usage=FakeDiskUsage(self),
        )

    # -- for the services --------------------------------------------------------------------

    def note(self, *call: object) -> None:
        """Remember a call, and fail if the test wants that."""
        self.calls.append(call)
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure

    def next_id(self) -> str:
        """64 digits, the first ones telling."""
        return f"{next(self._numbers):04x}".ljust(64, "c")

    def find(self, reference: str) -> Container:
        """By id, prefix or name."""
        for each in self.containers.values():
            if reference and (each.id.startswith(reference) or each.name == reference.strip("/")):
                return each
        raise ContainerNotFound(reference)

    def set_state(self, container: Container, **changes: object) -> Container:
        """A container with another status."""
        changed = replace(container, status=replace(container.status, **changes))  # type: ignore[arg-type]
        self.containers[container.id] = changed
        return changed

    def stream_of(self, identifier: str) -> FakeStream:
        """The streams of a container or session."""
        return self.streams.setdefault(identifier, FakeStream(echoes=self.echoes))

    # -- for tests ---------------------------------------------------------------------------

    def end(self, reference: str, exit_code: int = 0, error: str = "") -> None:
        """The container's process ends."""
        container = self.set_state(
            self.find(reference),
            state=ContainerState.EXITED,
            exit_code=exit_code,
            pid=0,
            finished_at_ns=self.clock.now_ns(),
        )
        record = ExitRecord(exit_code=exit_code, exited_at_ns=self.clock.now_ns(), error=error)
        for ending in self.endings.pop(container.id, []):
            if not ending.done():
                ending.set_result(record)
        self.stream_of(container.id).say(b"")


@dataclass
class FakeContainers:
    """The containers of a fake engine."""

    engine: FakeEngine

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

    engine: FakeEngine

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
        self, exec_id: str, *, is_detached: bool, is_tty: bool, rows: int = 0, columns: int = 0
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
            stream.say(text if is_tty else frame(STDOUT, text))
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
class FakeImages:
    """Images by reference."""

    engine: FakeEngine

    async def list(self, filters: Filters, *, wants_all: bool = False) -> Sequence[Image]:
        self.engine.note("images", dict(filters), wants_all)
        return list(self.engine.images.values())

    async def get(self, reference: str, *, platform: str = "") -> Image:
        for name, image in self.engine.images.items():
            if reference in (name, name.partition(":")[0], image.id):
                return image
        raise ImageNotFound(reference)

    async def siblings(self, references: Sequence[str]) -> Sequence[DescribedImage]:
        return ()

    async def graph_data(self, image: Image) -> tuple[str, Mapping[str, str]]:
        return "overlay2", {"UpperDir": "/data/layer"}

    async def tag(self, reference: str, *, repository: str, tag: str) -> None:
        image = await self.get(reference)
        self.engine.note("tag", reference, repository, tag)
        self.engine.images[f"{repository}:{tag or 'latest'}"] = image

    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        prunes_parents: bool = True,
        platforms: Sequence[str] = (),
    ) -> Sequence[Removal]:
        await self.get(reference)
        self.engine.note("image remove", reference, is_forced, prunes_parents)
        return (Removal(untagged=reference), Removal(deleted=IMAGE_ID))

    async def _receive(self, archive: AsyncIterator[bytes]) -> None:
        async for piece in archive:
            self.engine.uploaded += piece

    async def load(
        self, archive: AsyncIterator[bytes], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[Progress]:
        await self._receive(archive)
        async for message in self._messages("load"):
            yield message

    async def save(
        self, references: Sequence[str], *, platforms: Sequence[str] = ()
    ) -> AsyncIterator[bytes]:
        for reference in references:
            await self.get(reference)
        yield b"tar of "
        yield ",".join(references).encode()

    async def import_archive(
        self,
        archive: AsyncIterator[bytes],
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]:
        await self._receive(archive)
        async for each in self._messages("import", reference, message, tuple(changes)):
            yield each

    async def import_from(
        self,
        address: str,
        *,
        reference: str,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> AsyncIterator[Progress]:
        async for each in self._messages("import", address, reference, message, tuple(changes)):
            yield each

    async def bootstrap(self, reference: str) -> AsyncIterator[Progress]:
        async for message in self._messages("bootstrap", reference):
            yield message

    async def _messages(self, *call: object) -> AsyncIterator[Progress]:
        for message in self.engine.progress:
            yield message
        self.engine.note(*call)


class FakePlatforms:
    """A host that runs its own programs."""

    async def list(self) -> Sequence[EmulatedPlatform]:
        return (await self.enable("linux/amd64"),)

    async def enable(self, text: str) -> EmulatedPlatform:
        return EmulatedPlatform(platform=text, is_enabled=True, runs_by="the processor")

    async def disable(self, text: str) -> EmulatedPlatform:
        return EmulatedPlatform(platform=text, is_enabled=False, runs_by="")


@dataclass
class FakeBuildHistory:
    """Builds that are remembered as long as the test."""

    def __init__(self) -> None:
        self.builds: dict[str, tuple[KeptBuild, bytes]] = {}

    async def all(self) -> Sequence[KeptBuild]:
        """What a test had kept."""
        return [build for build, _story in self.builds.values()]

    async def keep(self, build: KeptBuild, story: bytes) -> Sequence[str]:
        """In memory, of any number."""
        self.builds[build.ref] = (build, story)
        return ()

    async def change(self, build: KeptBuild) -> None:
        """Its record alone."""
        self.builds[build.ref] = (build, self.builds[build.ref][1])

    async def story(self, ref: str) -> bytes | None:
        """As it was kept."""
        return self.builds[ref][1] if ref in self.builds else None

    async def forget(self, ref: str) -> None:
        """One of them."""
        self.builds.pop(ref, None)


class FakeBuilds:
    """A builder that makes nothing."""

    def __init__(self) -> None:
        self.files = "/"
        self.sent: list[str] = []
        """What clients told of their directories."""

    async def build(
        self,
        request: BuildRequest,
        parts: AsyncIterator[SentPart],
        credentials: Mapping[str, Credentials],
    ) -> AsyncIterator[BuildEvent]:
        """Takes the context and says that it is done."""
        async for part in parts:
            async for _piece in part.pieces:
                pass
        yield BuildDone(image_id="sha256:" + "e" * 64, names=request.names)

    async def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, credentials: CredentialSource
    ) -> AsyncIterator[BuildEvent]:
        """Asks for the Dockerfile and says that it is done."""
        paths = (request.dockerfile,)
        async with offers.dockerfiles.sending(paths, ()) as sending:
            async for files in sending.files():
                self.sent += [each.path for each in files]
        names = tuple(each.attributes["name"] for each in request.outputs)
        yield BuildDone(image_id="sha256:" + "e" * 64, names=names)

    @asynccontextmanager
    async def files_of(self, reference: str) -> AsyncIterator[int]:
        """A directory of the test's."""
        root = os.open(self.files, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield root
        finally:
            os.close(root)

    async def configuration(
        self, reference: str, platform: str, credentials: CredentialSource
    ) -> tuple[str, bytes]:
        """The same for every image."""
        return "sha256:" + "c" * 64, b"{}"

    async def cache(self) -> Sequence[CacheRecord]:
        """Nothing."""
        return ()

    async def prune(self, wish: CachePrune) -> Sequence[CacheRecord]:
        """Nothing goes."""
        return ()


@dataclass
class FakeRegistries:
    """Registries that have nothing, and take everything."""

    engine: FakeEngine

    async def pull(
        self, reference: str, *, platform: str, credentials: Credentials, pulls_all_tags: bool
    ) -> AsyncGenerator[Progress, None]:
        self.engine.note("pull", reference, platform, pulls_all_tags)
        for progress in self.engine.progress:
            yield progress

    async def push(
        self, reference: str, *, tag: str, credentials: Credentials, platform: str = ""
    ) -> AsyncGenerator[Progress, None]:
        self.engine.note("push", reference, tag)
        for progress in self.engine.progress:
            yield progress

    async def log_in(self, domain: str, credentials: Credentials) -> RegistryLogin:
        self.engine.note("log_in", domain, credentials.username)
        return RegistryLogin(identity_token="")

    async def search(
        self, term: str, *, limit: int, credentials: Credentials
    ) -> Sequence[FoundRepository]:
        self.engine.note("search", term, limit)
        return ()

    async def distribution(self, reference: str, credentials: Credentials) -> DistributionImage:
        self.engine.note("distribution", reference)
        raise ManifestUnknown(reference, "latest")


@dataclass
class FakeNetworks:
    """The default bridge alone."""

    engine: FakeEngine

    async def list(self, filters: Filters) -> Sequence[Network]:
        return (BRIDGE,)

    async def get(self, reference: str) -> Network:
        if reference not in ("bridge", BRIDGE_ID):
            raise NetworkNotFound(reference)
        return BRIDGE

    async def containers_on(self, network: Network) -> Sequence[Container]:
        return list(self.engine.containers.values())

    async def create(self, request: NetworkRequest) -> Network:
        self.engine.note("create_network", request)
        return replace(BRIDGE, id=NetworkId("d" * 64), name=request.name, is_builtin=False)

    async def remove(self, reference: str) -> None:
        self.engine.note("remove_network", reference)

    async def connect(self, reference: str, container: str, wish: EndpointWish) -> None:
        self.engine.note("connect", reference, container, wish)

    async def disconnect(self, reference: str, container: str, *, is_forced: bool) -> None:
        self.engine.note("disconnect", reference, container, is_forced)


@dataclass
class FakeFiles:
    """Containers that all have one file, `/file`."""

    engine: FakeEngine
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

    engine: FakeEngine

    async def changes(self, reference: str) -> Sequence[Change]:
        if reference not in self.engine.containers:
            raise ContainerNotFound(reference)
        return [Change("/file", 1)]

    async def commit(self, reference: str, request: CommitRequest) -> ImageId:
        await self.changes(reference)
        return IMAGE_ID


class FakeVolumes:
    """Volumes in a dictionary; nobody ever uses one."""

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}

    async def create(self, spec: VolumeSpec) -> Volume:
        made = Volume(
            name=spec.name or "0" * 64,
            driver=spec.driver or "local",
            mount_point=f"/var/lib/wherry/volumes/{spec.name}/_data",
            created_at_ns=1_700_000_000 * SECOND,
            options=spec.options,
            labels=spec.labels,
        )
        return self.volumes.setdefault(made.name, made)

    async def get(self, name: str) -> Volume:
        if name not in self.volumes:
            raise VolumeNotFound(name)
        return self.volumes[name]

    async def list(self, filters: Filters) -> Sequence[Volume]:
        unknown = filters.keys() - {"dangling", "driver", "label", "name"}
        if unknown:
            raise InvalidValue(f"invalid filter '{min(unknown)}'")
        return list(self.volumes.values())

    async def remove(self, name: str, *, is_forced: bool = False) -> None:
        if self.volumes.pop(name, None) is None and not is_forced:
            raise VolumeNotFound(name)

    async def prune(self, filters: Filters, *, takes_named: bool = False) -> VolumePrune:
        return VolumePrune()

    async def usage(self) -> Sequence[VolumeUsage]:
        return [VolumeUsage(volume=each, size_bytes=0, users=()) for each in self.volumes.values()]


class FakeVolumeHistory:
    """A history in which nothing ever happened."""

    def __init__(self, volumes: FakeVolumes) -> None:
        self._volumes = volumes

    async def list(self, name: str) -> Sequence[VolumeSnapshot]:
        await self._volumes.get(name)
        return []

    async def take(self, name: str, label: str, consistency: Consistency) -> VolumeSnapshot:
        await self._volumes.get(name)
        return VolumeSnapshot(
            volume=name, name=label or "now", created_at_ns=1_700_000_000 * SECOND,
            method=SnapshotMethod.COPY, consistency=consistency,
        )  # fmt: skip

    async def forget(self, name: str, label: str) -> None:
        raise VolumeSnapshotNotFound(name, label)

    async def roll_back(self, name: str, label: str, *, restarts: bool) -> VolumeSnapshot:
        raise VolumeSnapshotNotFound(name, label)

    async def clone(self, name: str, label: str, new_name: str) -> Volume:
        await self._volumes.get(name)
        return await self._volumes.create(VolumeSpec(name=new_name))

    async def rename(self, name: str, new_name: str) -> Volume:
        await self._volumes.remove(name)
        return await self._volumes.create(VolumeSpec(name=new_name))

    async def changes(self, name: str, older: str, newer: str) -> Sequence[Change]:
        await self._volumes.get(name)
        return []

    async def export(
        self, name: str, label: str, compression: Compression
    ) -> AsyncGenerator[bytes, None]:
        await self._volumes.get(name)
        return self._pieces()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        yield b""

    async def import_archive(
        self, name: str, archive: AsyncIterator[bytes], *, replaces: bool, takes_devices: bool
    ) -> Volume:
        async for _piece in archive:
            pass
        return await self._volumes.create(VolumeSpec(name=name))


class FakePlugins:
    """Nobody ever installed one, and no registry has one."""

    async def list(self, filters: Filters) -> Sequence[ManagedPlugin]:
        return []

    async def get(self, reference: str) -> ManagedPlugin:
        raise PluginNotFound(reference)

    async def privileges(self, remote: str, credentials: Credentials) -> Sequence[PluginPrivilege]:
        raise PluginNotFound(remote)

    async def create(self, name: str, context: AsyncIterator[bytes]) -> None:
        async for _piece in context:
            pass

    async def pull(
        self,
        remote: str,
        name: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]:
        raise PluginNotFound(remote)
        yield Progress()

    async def upgrade(
        self,
        reference: str,
        remote: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]:
        raise PluginNotFound(reference)
        yield Progress()

    async def enable(self, reference: str, timeout_s: float = 0) -> None:
        await self.get(reference)

    async def disable(self, reference: str, *, is_forced: bool = False) -> None:
        await self.get(reference)

    async def set(self, reference: str, wishes: Sequence[str]) -> None:
        await self.get(reference)

    async def remove(self, reference: str, *, is_forced: bool = False) -> ManagedPlugin:
        return await self.get(reference)

    async def push(self, reference: str, credentials: Credentials) -> AsyncIterator[Progress]:
        raise PluginNotFound(reference)
        yield Progress()


@dataclass
class FakeSystem:
    """A host that never changes."""

    engine: FakeEngine

    async def info(self) -> EngineInfo:
        return EngineInfo(
            id="WHERRY", version="0.1.0", git_commit="abc", build_time="2026-01-01T00:00:00Z",
            host_name="host", operating_system="Debian GNU/Linux 12", os_version="12",
            kernel_version="6.1.0", architecture="x86_64", processors=2,
            memory_bytes=8 << 30, containers_running=1, containers_paused=0,
            containers_stopped=2, images=1, storage_driver="overlay2",
            storage_status=(("Backing Filesystem", "extfs"),), data_root="/var/lib/wherry",
            log_driver="json-file", log_drivers=("json-file", "none"), volume_drivers=("local",),
            network_drivers=("bridge", "host", "null"), cgroup_driver="cgroupfs",
            cgroup_version="2", security_options=("name=seccomp,profile=builtin",),
            default_runtime="wherry", runtimes={"wherry": ("wherry-runtime",)}, labels=(),
            warnings=(), is_debug=False, open_files=20, tasks=5, event_listeners=0,
            system_time_ns=self.engine.clock.now_ns(),
            limits={"memory": True, "swap": True, "pids": True, "cpu_shares": True,
                    "cpu_quota": True, "cpuset": True, "ipv4_forwarding": True},
            components=(("wherry-runtime", "0.1.0"),),
            init_path="/usr/bin/tini", init_version="0.19.0",
        )  # fmt: skip


@dataclass
class FakeEvents:
    """The events that a test put there, then silence until `until`."""

    engine: FakeEngine

    async def subscribe(
        self, *, since_ns: int | None, until_ns: int | None, filters: Filters
    ) -> AsyncIterator[Event]:
        self.engine.note("events", since_ns, until_ns, dict(filters))
        for event in self.engine.events:
            yield event
        if until_ns is None:
            await asyncio.Event().wait()


@dataclass
class FakeExplanations:
    """One sentence."""

    engine: FakeEngine

    async def container_text(self, reference: str, *, live: bool = False) -> str:
        return f"1. nothing was done for {self.engine.find(reference).name}\n"

    async def container_json(self, reference: str, *, live: bool = False) -> bytes:
        self.engine.find(reference)
        return b"[]"

    async def container_script(self, reference: str) -> str:
        return f"#!/bin/sh\n# {self.engine.find(reference).name}\n"


@dataclass
class FakeReasons:
    """Everything has finished."""

    engine: FakeEngine

    async def __call__(self, reference: str) -> Reason:
        container = self.engine.find(reference)
        return Reason(
            container_id=container.id,
            name=container.name,
            state=container.status.state.value,
            exit_code=0,
            cause=Cause.FINISHED,
            certainty=Certainty.FACT,
            sentence="Its program finished without an error.",
        )


@dataclass
class FakeSights:
    """Everything is reachable, and nothing passes."""

    engine: FakeEngine

    async def reach(self, question: ReachQuestion) -> Reach:
        target = self.engine.find(question.target)
        return Reach(
            question=question,
            source=question.source,
            target=target.name,
            address="172.17.0.2",
            verdict=ReachVerdict.REACHES,
            hops=(Hop(place="network", sentence="both are on bridge"),),
        )

    async def reach_all(self, *, is_static: bool) -> Sequence[Reach]:
        del is_static
        return ()

    async def capture(
        self, reference: str, *, count: int, expression: str
    ) -> AsyncGenerator[bytes, None]:
        self.engine.find(reference)

        async def nothing() -> AsyncGenerator[bytes, None]:
            return
            yield b""

        return nothing()


@dataclass
class FakePrunes:
    """Says that it removed one of everything."""

    engine: FakeEngine

    async def containers(self, filters: Filters) -> PrunedContainers:
        self.engine.note("prune containers", dict(filters))
        return PrunedContainers(deleted=(ContainerId("c" * 64),), freed_bytes=5)

    async def images(self, filters: Filters) -> PrunedImages:
        self.engine.note("prune images", dict(filters))
        return PrunedImages(removals=(Removal(untagged="a:1"),), freed_bytes=0)

    async def networks(self, filters: Filters) -> PrunedNetworks:
        self.engine.note("prune networks", dict(filters))
        return PrunedNetworks(deleted=("gone",))


@dataclass
class FakeDiskUsage:
    """Round figures."""

    engine: FakeEngine

    async def layers_bytes(self) -> int:
        images = self.engine.images.values()
        return sum({x.chain_id: x.size_bytes for each in images for x in each.layers}.values())

    async def of_images(self) -> Mapping[ImageId, ImageSizes]:
        return {IMAGE_ID: ImageSizes(shared_bytes=0, containers=len(self.engine.containers))}

    async def of_containers(self, containers: Sequence[Container]) -> Sequence[ContainerSizes]:
        return [ContainerSizes(written_bytes=12, total_bytes=4_000_012) for _each in containers]


@asynccontextmanager
async def served(engine: FakeEngine, *, idle_timeout_s: float = 30) -> AsyncIterator[str]:
    """The API of a fake engine on a Unix socket; gives its path."""
    with tempfile.TemporaryDirectory(prefix="wherry-api-") as directory:
        path = str(Path(directory) / "api.sock")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(128)
        listening = await serve(
            engine.services(), [listener], clock=engine.clock, idle_timeout_s=idle_timeout_s
        )
        try:
            yield path
        finally:
            await listening.close()
