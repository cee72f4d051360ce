"""One build: planned for each platform, solved as one graph, and exported."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from wherry.build import dockerfile as language
from wherry.build.cache_exports import Solved
from wherry.build.cache_imports import Elsewhere
from wherry.build.cache_table import BuildCache
from wherry.build.caching import Caching
from wherry.build.checks import Checking
from wherry.build.commands import Commands, StepContainers
from wherry.build.contexts import Views
from wherry.build.describing import described_targets, outlined, wanted_stage
from wherry.build.event_sink import EventSink
from wherry.build.executing import StepExecutor
from wherry.build.exporting import Exporting, Result
from wherry.build.filling import Filling
from wherry.build.foreseeing import Foreseen, Foresight
from wherry.build.kept_contexts import KeptContexts
from wherry.build.layers_elsewhere import image_of_layout
from wherry.build.layouts import SentLayouts
from wherry.build.mounts import MountGround, Mounts
from wherry.build.planning import EPOCH, PROXIES, Base, PlannedStep, Planner
from wherry.build.ports import LAYOUT_CONTEXT, BuildPorts
from wherry.build.provenance import Material, ProvenanceFacts, wanted_provenance
from wherry.build.publishing import Registries
from wherry.build.remote import RemoteSources
from wherry.build.solver import Solver, Vertex, bottom, chain, needed
from wherry.build.squashing import squashed
from wherry.build.stage_files import StageFiles
from wherry.build.states import Built, Words
from wherry.build.work_places import WorkPlaces
from wherry.images import BuildImages, BuildState, ImageStore, platform_from, platform_of
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack, own_task
from wherry.kit.clock import Clock
from wherry.model.build_inquiries import Inquiry
from wherry.model.builds import (
    BaseFound,
    BasePulled,
    BaseSought,
    BuildDone,
    BuildEvent,
    BuildRequest,
    BuildWarned,
    FileDescribed,
    OutputPiece,
    ResultPushed,
    StageSkipped,
)
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.model.images import Image
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults, ImageDocument, Platform
from wherry.oci.platforms import formatted
from wherry.snapshots import Snapshots
from wherry.tasks import Tasks

_MOST_PIECES = 32
"""Pieces of results that wait to be taken; everybody else is not held up by them."""
_FRONTENDS = "BUILDKIT_"
"""What the names of arguments begin with that are meant for the builder itself."""
_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BaseImages(Registries, Protocol):
    """Finds what builds begin with; the engine's part."""

    async def find(
        self, reference: str, platform: str, tell: Callable[[Progress], None], *, pulls: bool
    ) -> Image:
        """The image, pulled where it is missing or where a pull is wanted."""
        ...

    def here(self, reference: str, platform: str) -> Image | None:
        """The image if it is here; nothing is pulled."""
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
    kept_contexts: KeptContexts


class OneBuild:
    """From a Dockerfile to its results."""

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
        content: bytes,
        opened: UndoStack,
    ) -> None:
        """What is opened stays until the stack goes, which is the build's end.

        `content`: the Dockerfile.
        """
        self._ground = ground
        self._opened = opened
        self._containers = containers
        self._running = running
        self._request = request
        self._ports = ports
        self._images = images
        self._bases = bases
        self._files = StageFiles(images, ground.tasks, ground.offload)
        self._work = WorkPlaces(ground.staging, ground.offload)
        self._told: asyncio.Queue[BuildEvent | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_MOST_PIECES)
        self._found: dict[tuple[str, str], BuildState] = {}
        self._materials: list[Material] = []
        self._content = content
        self._sink = ports.sink or EventSink(self._tell_piece, ground.offload)
        self._layouts = ports.layouts or SentLayouts(
            ports.sent_layouts, self._sink, ground.offload
        )

    async def run(self, file: language.Dockerfile, views: Views) -> AsyncIterator[BuildEvent]:
        """Plan, check, solve, export; told while it is done."""
        making = own_task(self._make(file, views))
        making.add_done_callback(lambda done: self._told.put_nowait(None))
        try:
            while (event := await self._told.get()) is not None:
                yield event
                if isinstance(event, OutputPiece):
                    self._room.release()
            yield await making
        finally:
            if not making.done():
                making.cancel()
                await asyncio.wait([making])

    async def _make(self, file: language.Dockerfile, views: Views) -> BuildDone:
        targets, planned = await self._checked(file, views)
        if self._request.inquiry is not None:
            self._describe(file, planned)
            return BuildDone(image_id="")
        caching = self._caching()
        facts = ProvenanceFacts(
            self._request, self._content, self._ground.store.host, self._ground.clock
        )
        exporting = self._exporting(facts)
        executor = self._executor(file, views, await caching.elsewhere())
        wanted = set(needed(*targets.values()))
        order = [each for each in planned if each in wanted]
        if self._request.only_plans:
            return await self._foresee(executor, order)
        solver = Solver[PlannedStep, Built](executor, self._running, self._told.put_nowait)
        await solver.solve(order)
        if solver.failure is not None:
            raise solver.failure
        results = []
        for platform, target in targets.items():
            state = solver.result(target).state
            if self._request.squashes:
                state = await self._squashed(state, bottom(target))
            results.append(Result(platform, state))
        solved = _solved(solver, order, targets.values())
        facts.learn(order, [each.built.key for each in solved], self._materials)
        done = await exporting.export(results)
        return replace(done, said={**done.said, **await caching.leave(solved)})

    async def _checked(
        self, file: language.Dockerfile, views: Views
    ) -> tuple[Mapping[str, Vertex[PlannedStep]], Sequence[Vertex[PlannedStep]]]:
        """What is wanted, and all steps; what the checks find is told. Raises: as `_planned`."""
        checking = Checking(file, self._request.arguments, self._told.put_nowait)
        host = self._ground.store.host
        checking.look_at_text(_platform_arguments(host, host))
        targets, planned = await self._planned(file)
        checking.look_at_steps(planned, views.ignore)
        if self._request.inquiry is None:
            checking.end()
        return targets, planned

    def _describe(self, file: language.Dockerfile, planned: Sequence[Vertex[PlannedStep]]) -> None:
        """Answer an inquiry; what checks found was told already."""
        match self._request.inquiry:
            case Inquiry.TARGETS:
                told = FileDescribed(targets=described_targets(file))
            case Inquiry.OUTLINE:
                start = wanted_stage(file, self._request.target)
                arguments = self._request.arguments
                told = FileDescribed(outline=outlined(file, planned, start, arguments))
            case _:
                return
        self._told.put_nowait(told)

    async def _foresee(
        self, steps: StepExecutor, order: Sequence[Vertex[PlannedStep]]
    ) -> BuildDone:
        foresight = Foresight(steps, pulls_always=self._request.pulls_always)
        solver = Solver[PlannedStep, Foreseen](foresight, KeyedLock(), self._told.put_nowait)
        await solver.solve(order)
        if solver.failure is not None:
            raise solver.failure
        return BuildDone(image_id="")

    def _caching(self) -> Caching:
        async def find(reference: str) -> BuildState:
            return await self._find_image(reference, "")

        return Caching(
            request=self._request,
            registries=self._bases,
            tell=self._tell_push,
            layouts=self._layouts,
            images=self._images,
            find_image=find,
            warn=lambda text: self._told.put_nowait(BuildWarned(text=text)),
            offload=self._ground.offload,
        )

    async def _squashed(self, state: BuildState, base: PlannedStep) -> BuildState:
        assert isinstance(base, Base)
        return await squashed(
            state,
            len(base.state.layers),
            images=self._images,
            files=self._files,
            offload=self._ground.offload,
            clock=self._ground.clock,
        )

    async def _planned(
        self, file: language.Dockerfile
    ) -> tuple[Mapping[str, Vertex[PlannedStep]], Sequence[Vertex[PlannedStep]]]:
        """What is wanted for each platform, and all steps in the order of the file.

        Raises: as `Planner.target`.
        """
        host = self._ground.store.host
        platforms = [platform_from(each, host) for each in self._request.platforms] or [host]
        targets, used, planned = {}, set[str](), list[Vertex[PlannedStep]]()
        skipped: dict[int, language.From] = {}
        for platform in platforms:
            if platform.os != "linux":
                raise FeatureMissing(f"building for the platform {formatted(platform)}")
            shown = formatted(platform) if len(platforms) > 1 else ""
            planner = self._planner(file, platform, shown)
            targets[formatted(platform)] = await planner.target(self._request.target)
            used |= planner.used
            planned += planner.vertices
            skipped |= {each.line: each for each in planner.skipped}
        for start in skipped.values():
            self._told.put_nowait(StageSkipped(name=start.name, line=start.line))
        unused = sorted(
            name
            for name in self._request.arguments.keys() - used - PROXIES - {EPOCH}
            if not name.startswith(_FRONTENDS)
        )
        if unused:
            text = f"One or more build-args [{' '.join(unused)}] were not consumed"
            self._told.put_nowait(BuildWarned(text=text))
        return targets, planned

    def _planner(self, file: language.Dockerfile, target: Platform, shown: str) -> Planner:
        async def find(reference: str, platform: str) -> BuildState | None:
            wanted = platform or formatted(target)
            if self._request.only_plans or self._request.inquiry is not None:
                return await self._image_here(reference, wanted)
            return await self._find_image(reference, wanted, shown)

        return Planner(
            file,
            arguments=self._request.arguments,
            platform_arguments={
                **_platform_arguments(self._ground.store.host, target),
                "TARGETSTAGE": self._request.target or "default",
            },
            labels=self._request.labels,
            find_image=find,
            scratch=_scratch(target),
            contexts=self._ports.contexts,
            shown_platform=shown,
            uncached_stages=self._request.uncached_stages,
            entitlements=self._request.entitlements,
        )

    def _exporting(self, facts: ProvenanceFacts) -> Exporting:
        wish = wanted_provenance(self._request.attests)
        return Exporting(
            request=self._request,
            sink=self._sink,
            images=self._images,
            files=self._files,
            work=self._work,
            layouts=self._layouts,
            registries=self._bases,
            tell=self._tell_push,
            attest=lambda: facts.predicates(wish) if wish is not None else {},
            is_attested_everywhere=wish is not None and not wish.is_inline_only,
            offload=self._ground.offload,
        )

    async def _tell_piece(self, piece: OutputPiece) -> None:
        await self._room.acquire()
        self._told.put_nowait(piece)

    def _executor(
        self, file: language.Dockerfile, views: Views, elsewhere: Elsewhere
    ) -> StepExecutor:
        ground, images = self._ground, self._images
        words = Words(file.escape, self._request.arguments)
        mounts = Mounts(
            ground=ground.mounts,
            ports=self._ports,
            words=words,
            views=views,
            files=self._files,
            work=self._work,
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
                files=self._files,
                offload=ground.offload,
            ),
            filling=Filling(
                words=words,
                views=views,
                files=self._files,
                remote=RemoteSources(self._work, ground.offload, self._opened),
                images=images,
                offload=ground.offload,
                clock=ground.clock,
            ),
            images=images,
            cache=ground.cache,
            elsewhere=elsewhere,
            offload=ground.offload,
            clock=ground.clock,
        )

    async def _find_image(self, reference: str, platform: str, shown: str = "") -> BuildState:
        found = self._found.get((reference, platform))
        if found is None:
            if reference.startswith(LAYOUT_CONTEXT):
                found = await self._of_layout(reference.removeprefix(LAYOUT_CONTEXT), platform)
            else:
                self._told.put_nowait(BaseSought(reference=reference, platform=shown))
                image = await self._bases.find(
                    reference, platform, self._tell_pull, pulls=self._request.pulls_always
                )
                found = await self._ground.offload(self._images.base, image)
                self._materials.append(
                    Material(
                        reference=reference,
                        platform=formatted(platform_of(image)),
                        digest=image.manifest_digest or image.id,
                    )
                )
                self._told.put_nowait(BaseFound())
            self._found[reference, platform] = found
        return found

    async def _image_here(self, reference: str, platform: str) -> BuildState | None:
        image = self._bases.here(reference, platform)
        return await self._ground.offload(self._images.base, image) if image else None

    async def _of_layout(self, text: str, platform: str) -> BuildState:
        named, at, digest = text.rpartition("@")
        # A tag in it is for people: which image it is, the digest says.
        name = named if "/" in named.rpartition(":")[2] else named.rpartition(":")[0] or named
        if not at:
            raise InvalidValue(f"oci-layout reference {text!r} must have a digest")
        return await image_of_layout(
            self._layouts,
            f"oci:{name}",
            digest,
            platform_from(platform, self._ground.store.host),
            images=self._images,
            offload=self._ground.offload,
        )

    def _tell_push(self, progress: Progress) -> None:
        self._told.put_nowait(ResultPushed(progress=progress))

    def _tell_pull(self, progress: Progress) -> None:
        self._told.put_nowait(BasePulled(progress=progress))


def _solved(
    solver: Solver[PlannedStep, Built],
    order: Sequence[Vertex[PlannedStep]],
    targets: Iterable[Vertex[PlannedStep]],
) -> Sequence[Solved]:
    """Steps with their results, in their order."""
    own = {each for target in targets for each in chain(target)}
    return [
        Solved(
            solver.result(each),
            solver.result(each.parent).key if each.parent is not None else "",
            each in own,
        )
        for each in order
    ]


def _scratch(platform: Platform) -> BuildState:
    return BuildState(
        ImageDocument(
            architecture=platform.architecture,
            variant=platform.variant,
            os=platform.os,
            config=ExecutionDefaults(env=(_DEFAULT_PATH,)),
        )
    )


def _platform_arguments(host: Platform, target: Platform) -> Mapping[str, str]:
    values = {}
    for kind, platform in (("BUILD", host), ("TARGET", target)):
        values[f"{kind}PLATFORM"] = formatted(platform)
        values[f"{kind}OS"] = platform.os
        values[f"{kind}ARCH"] = platform.architecture
        values[f"{kind}VARIANT"] = platform.variant
    return values
