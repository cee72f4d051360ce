"""A build from its context to its image, told as it goes."""

import asyncio
import contextlib
import os
import posixpath
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from wherry.build import dockerfile as language
from wherry.build.cache_table import BuildCache
from wherry.build.executing import Built, StepContainers, StepExecutor
from wherry.build.planning import PROXIES, PlannedStep, Planner
from wherry.build.solver import Solver, Vertex, needed
from wherry.build.trees import Tree
from wherry.images import BuildImages, BuildState, ImageStore, parse
from wherry.kit.aio import BlockingReader, KeyedLock, OffloadPool, UndoStack, own_task
from wherry.kit.clock import Clock
from wherry.kit.path_patterns import BadPattern, Ignore, read_ignore
from wherry.kit.random_ids import new_id, short_id
from wherry.linux.files import open_in_root, remove_tree
from wherry.model.builds import BuildRequest
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.model.images import Image
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults, ImageDocument
from wherry.snapshots import Snapshots, TarReader, UnpackRules, decompressed, unpack_tar
from wherry.tasks import Tasks

_LARGEST_IGNORE = 4 << 20
_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BaseImages(Protocol):
    """Finds what builds begin with; the engine's part."""

    async def find(
        self, reference: str, platform: str, told: "asyncio.Queue[Progress]", *, pulls: bool
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
    staging: str
    """Where contexts are while a build is under way."""
    architecture: str


class BuildService:
    """Builds, several at once."""

    def __init__(self, ground: BuildGround, containers: StepContainers) -> None:
        self._ground = ground
        self._containers = containers
        self._running = KeyedLock()

    async def build(
        self, request: BuildRequest, context: AsyncIterator[bytes], bases: BaseImages
    ) -> AsyncIterator[Progress]:
        """Build an image; the last messages say its id and names.

        Raises (while iterating): DockerfileRefused, StepEndedBadly, ImageNotFound,
        InvalidReference, InvalidValue, FeatureMissing, ArchiveRefused, StepFailed.
        """
        names = tuple(parse(name).with_default_tag().familiar for name in request.names)
        self._check_platform(request.platform)
        async with UndoStack() as opened:
            root = await self._unpacked(context, opened)
            file, ignore = await self._ground.offload(_read, root, request.dockerfile)
            lease = opened_lease = self._ground.store.lease()
            images = BuildImages(
                self._ground.store, self._ground.snapshots, opened_lease.__enter__()
            )
            opened.push(_leave, lease)
            build = _Build(self._ground, self._containers, self._running, request, images, bases)
            async for progress in build.run(file, Tree(root, ignore), names):
                yield progress

    def _check_platform(self, platform: str) -> None:
        system, _slash, rest = platform.partition("/")
        if not platform or (
            system == "linux" and rest.split("/")[0] in ("", self._ground.architecture)
        ):
            return
        raise FeatureMissing(f"building for the platform {platform}")

    async def _unpacked(self, context: AsyncIterator[bytes], opened: UndoStack) -> int:
        """The context as a directory of ours; gone with the build."""
        name = f"context-{new_id()}"
        os.makedirs(self._ground.staging, mode=0o710, exist_ok=True)
        staging = os.open(self._ground.staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.push(self._ground.offload, os.close, staging)
        opened.push(self._ground.offload, remove_tree, staging, name)
        os.mkdir(name, 0o700, dir_fd=staging)
        root = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=staging)
        opened.push(self._ground.offload, os.close, root)
        reader = BlockingReader(context, asyncio.get_running_loop())
        try:
            await self._ground.offload(_unpack, root, reader)
        finally:
            reader.abandon()
        return root


async def _leave(lease: "contextlib.AbstractContextManager[object]") -> None:
    lease.__exit__(None, None, None)


def _unpack(root: int, reader: BlockingReader) -> None:
    # Files of a context belong to nobody in particular: whoever sends them is not on this host.
    rules = UnpackRules(owner=(0, 0))
    unpack_tar(TarReader(decompressed(reader)[1]), root, b"/", rules)
    while reader.read(1 << 20):
        pass


def _read(root: int, path: str) -> tuple[language.Dockerfile, Ignore]:
    """The Dockerfile and the patterns beside it. Raises: InvalidValue, DockerfileRefused."""
    clean = posixpath.normpath("/" + path).lstrip("/")
    content = _content(root, clean)
    if content is None:
        raise InvalidValue(f"Cannot locate specified Dockerfile: {path}")
    if not content.strip():
        raise InvalidValue(f"the Dockerfile ({path}) cannot be empty")
    patterns = _content(root, f"{clean}.dockerignore")
    if patterns is None:
        patterns = _content(root, ".dockerignore")
    try:
        return language.parse(content), Ignore(read_ignore(patterns or b""))
    except BadPattern as problem:
        raise InvalidValue(str(problem)) from None


def _content(root: int, path: str) -> bytes | None:
    try:
        file = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    with open(file, "rb") as opened:
        try:
            return opened.read(language.LARGEST_FILE + 1)
        except OSError:
            return None


class _Build:
    """One build, from its Dockerfile on."""

    def __init__(
        self,
        ground: BuildGround,
        containers: StepContainers,
        running: KeyedLock,
        request: BuildRequest,
        images: BuildImages,
        bases: BaseImages,
    ) -> None:
        self._ground = ground
        self._containers = containers
        self._running = running
        self._request = request
        self._images = images
        self._bases = bases
        self._pulled: asyncio.Queue[Progress] = asyncio.Queue()
        self._found: dict[tuple[str, str], BuildState] = {}

    async def run(
        self, file: language.Dockerfile, context: Tree, names: tuple[str, ...]
    ) -> AsyncIterator[Progress]:
        """Plan, solve, record."""
        planner = Planner(
            file,
            arguments=self._request.arguments,
            platform_arguments=self._platform_arguments(),
            labels=self._request.labels,
            find_image=self._find_image,
            scratch=self._scratch(),
        )
        order = needed(await planner.target(self._request.target))
        while not self._pulled.empty():
            progress = self._pulled.get_nowait()
            if not self._request.is_quiet:
                yield progress
        solver = Solver[PlannedStep, Built](self._executor(file, context), self._running)
        said: list[str] = []
        async for text in _transcript(solver, order, file):
            if self._request.is_quiet:
                said.append(text)
            else:
                yield Progress(stream=text)
        if solver.failure is not None:
            for text in said:
                yield Progress(stream=text)
            raise solver.failure
        state = solver.result(order[-1]).state
        image_id = await self._ground.offload(self._images.record, state, names)
        if self._request.is_quiet:
            yield Progress(built=image_id)
            yield Progress(stream=f"{image_id}\n")
            return
        yield Progress(built=image_id)
        unused = sorted(self._request.arguments.keys() - planner.used - PROXIES)
        if unused:
            yield Progress(
                stream=f"[Warning] One or more build-args {_listed(unused)} were not consumed\n"
            )
        yield Progress(stream=f"Successfully built {short_id(image_id.removeprefix('sha256:'))}\n")
        for name in names:
            yield Progress(stream=f"Successfully tagged {name}\n")

    def _executor(self, file: language.Dockerfile, context: Tree) -> StepExecutor:
        return StepExecutor(
            request=self._request,
            escape=file.escape,
            context=context,
            images=self._images,
            cache=self._ground.cache,
            containers=self._containers,
            tasks=self._ground.tasks,
            offload=self._ground.offload,
            clock=self._ground.clock,
        )

    async def _find_image(self, reference: str, platform: str) -> BuildState:
        wanted = platform or self._request.platform
        found = self._found.get((reference, wanted))
        if found is None:
            image = await self._bases.find(
                reference, wanted, self._pulled, pulls=self._request.pulls_always
            )
            found = await self._ground.offload(self._images.base, image)
            self._found[reference, wanted] = found
        return found

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


async def _transcript(
    solver: Solver[PlannedStep, Built],
    order: list[Vertex[PlannedStep]],
    file: language.Dockerfile,
) -> AsyncIterator[str]:
    """What is said, in the order of the steps, though they may run in another."""
    shown = [each for each in order if each.label]
    total = len(shown) + len(file.arguments)
    for number, argument in enumerate(file.arguments, 1):
        yield f"Step {number}/{total} : {argument.text}\n"
    solving = own_task(solver.solve(order))
    try:
        for number, vertex in enumerate(shown, len(file.arguments) + 1):
            if solver.failed is not None and solver.failed is not vertex and not vertex.is_told:
                continue
            yield f"Step {number}/{total} : {vertex.label}\n"
            while (text := await vertex.told.get()) is not None:
                yield text
            if vertex is solver.failed:
                break
        await asyncio.wait([solving])
    finally:
        if not solving.done():
            solving.cancel()
            await asyncio.wait([solving])


def _listed(names: list[str]) -> str:
    return "[" + " ".join(names) + "]"
