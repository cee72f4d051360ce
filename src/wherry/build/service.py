"""A build from its context to its image, told as it goes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from wherry.build import dockerfile as language
from wherry.build.cache_table import BuildCache
from wherry.build.client_contexts import ClientContext, ClientStorage
from wherry.build.commands import Commands, StepContainers
from wherry.build.contexts import Views, received
from wherry.build.executing import StepExecutor
from wherry.build.filling import Filling
from wherry.build.mounts import MountGround, Mounts
from wherry.build.offers import ClientDirectory, ClientOffers
from wherry.build.planning import PROXIES, PlannedStep, Planner
from wherry.build.ports import BuildPorts
from wherry.build.solver import Solver, Vertex, needed
from wherry.build.stage_files import StageFiles
from wherry.build.states import Built, Words
from wherry.images import BuildImages, BuildState, ImageStore, parse
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack, own_task
from wherry.kit.clock import Clock
from wherry.model.builds import (
    BasePulled,
    BuildDone,
    BuildEvent,
    BuildRequest,
    BuildWarned,
    DockerfileFound,
    DockerfileRead,
)
from wherry.model.errors import FeatureMissing
from wherry.model.images import Image
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults, ImageDocument
from wherry.snapshots import Snapshots
from wherry.tasks import Tasks

_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BaseImages(Protocol):
    """Finds what builds begin with; the engine's part."""

    async def find(
        self, reference: str, platform: str, tell: Callable[[Progress], None], *, pulls: bool
    ) -> Image:
        """The image, pulled where it is missing or where a pull is wanted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildGround:
    """What all builds stand on."""

    store: ImageStore
    snapshots: Snapshots
    cache: BuildCache
    tasks: Tasks
    offload: OffloadPool
    clock: Clock
    mounts: MountGround
    staging: str
    """Where contexts are while a build is under way."""
    kept_contexts: str
    """Where copies of what clients have sent are."""
    architecture: str


class BuildService:
    """Builds, several at once."""

    def __init__(self, ground: BuildGround, containers: StepContainers) -> None:
        self._ground = ground
        self._containers = containers
        self._running = KeyedLock()

    async def build_tar(
        self, request: BuildRequest, context: AsyncIterator[bytes], bases: BaseImages
    ) -> AsyncIterator[BuildEvent]:
        """Build with a context that comes as one tar, before anything begins.

        Raises (while iterating): ArchiveRefused; as `build`.
        """
        ground = self._ground
        async with UndoStack() as opened:
            files = await received(context, ground.staging, ground.offload, opened)
            async for event in self.build(request, BuildPorts(context=files), bases):
                yield event

    async def build_for_client(
        self, request: BuildRequest, offers: ClientOffers, bases: BaseImages
    ) -> AsyncIterator[BuildEvent]:
        """Build with what a client offers meanwhile, files among it.

        Raises (while iterating): Cancelled, when the client is gone; as `build`.
        """
        ground = self._ground
        storage = ClientStorage(ground.staging, ground.kept_contexts, ground.offload)
        async with UndoStack() as opened:

            def context(directory: ClientDirectory) -> ClientContext:
                return ClientContext(
                    files=directory,
                    dockerfiles=offers.dockerfiles,
                    storage=storage,
                    opened=opened,
                )

            ports = BuildPorts(
                context=context(offers.context),
                contexts={
                    name: each if isinstance(each, str) else context(each)
                    for name, each in offers.contexts.items()
                },
                secrets=offers.secrets,
                agents=offers.agents,
                sink=offers.sink,
            )
            async for event in self.build(request, ports, bases):
                yield event

    async def build(
        self, request: BuildRequest, ports: BuildPorts, bases: BaseImages
    ) -> AsyncIterator[BuildEvent]:
        """Build; the last event says what was made.

        Raises (while iterating): DockerfileRefused, StepEndedBadly, ImageNotFound,
        InvalidReference, InvalidValue, FeatureMissing, ArchiveRefused, StepFailed.
        """
        names = tuple(parse(name).with_default_tag().familiar for name in request.names)
        self._check_platforms(request.platforms)
        async with UndoStack() as opened:
            text = await ports.context.dockerfile(request.dockerfile)
            yield DockerfileFound(name=request.dockerfile, content=text.content)
            file = await self._ground.offload(language.parse, text.content)
            lease = self._ground.store.lease()
            images = BuildImages(self._ground.store, self._ground.snapshots, lease.__enter__())
            opened.push(_leave, lease)
            build = _Build(
                ground=self._ground,
                containers=self._containers,
                running=self._running,
                request=request,
                ports=ports,
                images=images,
                bases=bases,
            )
            arguments = tuple(each.text for each in file.arguments)
            yield DockerfileRead(name=request.dockerfile, arguments=arguments)
            async for event in build.run(file, Views(ports, text.ignore), names):
                yield event

    def _check_platforms(self, platforms: tuple[str, ...]) -> None:
        for platform in platforms:
            system, _slash, rest = platform.partition("/")
            is_ours = rest.split("/")[0] in ("", self._ground.architecture)
            if len(platforms) > 1 or system != "linux" or not is_ours:
                raise FeatureMissing(f"building for the platform {','.join(platforms)}")


async def _leave(lease: "contextlib.AbstractContextManager[object]") -> None:
    lease.__exit__(None, None, None)


class _Build:
    """One build, from its Dockerfile on."""

    def __init__(
        self,
        *,
        ground: BuildGround,
        containers: StepContainers,
        running: KeyedLock,
        request: BuildRequest,
        ports: BuildPorts,
        images: BuildImages,
        bases: BaseImages,
    ) -> None:
        self._ground = ground
        self._containers = containers
        self._running = running
        self._request = request
        self._ports = ports
        self._images = images
        self._bases = bases
        self._told: asyncio.Queue[BuildEvent | None] = asyncio.Queue()
        self._found: dict[tuple[str, str], BuildState] = {}

    async def run(
        self, file: language.Dockerfile, views: Views, names: tuple[str, ...]
    ) -> AsyncIterator[BuildEvent]:
        """Plan, solve, record; told while it is done."""
        making = own_task(self._make(file, views, names))
        making.add_done_callback(lambda done: self._told.put_nowait(None))
        try:
            while (event := await self._told.get()) is not None:
                yield event
            yield await making
        finally:
            if not making.done():
                making.cancel()
                await asyncio.wait([making])

    async def _make(
        self, file: language.Dockerfile, views: Views, names: tuple[str, ...]
    ) -> BuildDone:
        order = await self._planned(file)
        solver = Solver[PlannedStep, Built](
            self._executor(file, views), self._running, self._told.put_nowait
        )
        await solver.solve(order)
        if solver.failure is not None:
            raise solver.failure
        state = solver.result(order[-1]).state
        image_id = await self._ground.offload(self._images.record, state, names)
        return BuildDone(image_id=image_id, names=names)

    async def _planned(self, file: language.Dockerfile) -> list[Vertex[PlannedStep]]:
        planner = Planner(
            file,
            arguments=self._request.arguments,
            platform_arguments=self._platform_arguments(),
            labels=self._request.labels,
            find_image=self._find_image,
            scratch=self._scratch(),
            contexts=self._ports.contexts,
            uncached_stages=self._request.uncached_stages,
            entitlements=self._request.entitlements,
        )
        order = needed(await planner.target(self._request.target))
        unused = sorted(self._request.arguments.keys() - planner.used - PROXIES)
        if unused:
            listed = " ".join(unused)
            self._told.put_nowait(
                BuildWarned(text=f"One or more build-args [{listed}] were not consumed")
            )
        return order

    def _executor(self, file: language.Dockerfile, views: Views) -> StepExecutor:
        ground, images = self._ground, self._images
        words = Words(file.escape, self._request.arguments)
        files = StageFiles(images, ground.tasks, ground.offload)
        mounts = Mounts(
            ground=ground.mounts,
            ports=self._ports,
            words=words,
            views=views,
            files=files,
            offload=ground.offload,
        )
        return StepExecutor(
            request=self._request,
            words=words,
            commands=Commands(
                request=self._request,
                images=images,
                containers=self._containers,
                mounts=mounts,
                files=files,
                offload=ground.offload,
            ),
            filling=Filling(
                words=words,
                views=views,
                files=files,
                images=images,
                offload=ground.offload,
                clock=ground.clock,
            ),
            images=images,
            cache=ground.cache,
            offload=ground.offload,
            clock=ground.clock,
        )

    async def _find_image(self, reference: str, platform: str) -> BuildState:
        wanted = platform or "".join(self._request.platforms[:1])
        found = self._found.get((reference, wanted))
        if found is None:
            image = await self._bases.find(
                reference, wanted, self._tell_pull, pulls=self._request.pulls_always
            )
            found = await self._ground.offload(self._images.base, image)
            self._found[reference, wanted] = found
        return found

    def _tell_pull(self, progress: Progress) -> None:
        self._told.put_nowait(BasePulled(progress=progress))

    def _scratch(self) -> BuildState:
        return BuildState(
            ImageDocument(
                architecture=self._ground.architecture,
                os="linux",
                config=ExecutionDefaults(env=(_DEFAULT_PATH,)),
            )
        )

    def _platform_arguments(self) -> Mapping[str, str]:
        values = {}
        for kind in ("BUILD", "TARGET"):
            values[f"{kind}PLATFORM"] = f"linux/{self._ground.architecture}"
            values[f"{kind}OS"] = "linux"
            values[f"{kind}ARCH"] = self._ground.architecture
            values[f"{kind}VARIANT"] = ""
        return values
