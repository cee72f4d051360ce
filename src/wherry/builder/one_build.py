"""One build: planned for each platform, solved as one graph, and exported."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial

from wherry.builder import dockerfile as language
from wherry.builder.bases import BaseImages, Bases
from wherry.builder.build_plans import BuildPlan, BuildPlans
from wherry.builder.cache.elsewhere import Caching
from wherry.builder.cache.exports import Solved
from wherry.builder.cache.imports import Elsewhere
from wherry.builder.cache.table import BuildCache
from wherry.builder.foreseeing import Foreseen, Foresight
from wherry.builder.planning import Base, PlannedStep
from wherry.builder.publishing import Registries
from wherry.builder.results.attesting import Attesting
from wherry.builder.results.event_sink import EventSink
from wherry.builder.results.exporting import Exporting
from wherry.builder.results.products import Result
from wherry.builder.results.provenance import ProvenanceFacts, wanted_provenance
from wherry.builder.results.scan_extras import scan_extras
from wherry.builder.results.scanning import Scanner, wanted_scan
from wherry.builder.results.waste import hidden_bytes, wasted
from wherry.builder.solver import Solver, Vertex, bottom, chain
from wherry.builder.sources.contexts import Views
from wherry.builder.sources.kept_contexts import KeptContexts
from wherry.builder.sources.layouts import SentLayouts
from wherry.builder.sources.ports import BuildPorts
from wherry.builder.sources.remote import RemoteSources
from wherry.builder.states import Built, Words
from wherry.builder.steps.commands import Commands, StepContainers
from wherry.builder.steps.executing import StepExecutor
from wherry.builder.steps.filling import Filling
from wherry.builder.steps.mounts import MountGround, Mounts
from wherry.builder.steps.squashing import squashed
from wherry.builder.steps.stage_files import StageFiles
from wherry.builder.work_places import WorkPlaces
from wherry.images import BuildImages, BuildState, ImageStore, platform_from
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack, own_task
from wherry.kit.clock import Clock
from wherry.kit.values import dataclass, replace
from wherry.model.builds import (
    BuildDone,
    BuildEvent,
    BuildRequest,
    BuildWarned,
    OutputPiece,
    ResultMeasured,
    ResultPushed,
)
from wherry.model.outcomes import Progress
from wherry.snapshots import Snapshots
from wherry.tasks import Tasks

_MOST_PIECES = 32
"""Pieces of results that wait to be taken; everybody else is not held up by them."""


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
        self._registries: Registries = bases
        self._files = StageFiles(images, ground.tasks, ground.offload)
        self._work = WorkPlaces(ground.staging, ground.offload)
        self._told: asyncio.Queue[BuildEvent | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_MOST_PIECES)
        self._content = content
        self._sink = ports.sink or EventSink(self._tell_piece, ground.offload)
        self._layouts = ports.layouts or SentLayouts(
            ports.sent_layouts, self._sink, ground.offload
        )
        self._bases = Bases(
            engine=bases,
            images=images,
            layouts=self._layouts,
            host=ground.store.host,
            pulls_always=request.pulls_always,
            tell=self._told.put_nowait,
            offload=ground.offload,
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
        plan = await self._plans().checked(file, views.ignore)
        if self._request.inquiry is not None:
            return BuildDone(image_id="")
        caching = self._caching()
        facts = ProvenanceFacts(
            self._request, self._content, self._ground.store.host, self._ground.clock
        )
        exporting = self._exporting(facts, views)
        executor = self._executor(file, views, await caching.elsewhere())
        order = plan.order
        if self._request.only_plans:
            return await self._foresee(executor, order)
        solver = Solver[PlannedStep, Built](executor, self._running, self._told.put_nowait)
        await solver.solve(order)
        if solver.failure is not None:
            raise solver.failure
        results = [await self._result(plan, solver, platform) for platform in plan.targets]
        solved = _solved(solver, order, plan.targets.values())
        facts.learn(order, [each.built.key for each in solved], self._bases.materials)
        done = await exporting.export(results)
        if self._request.measures:
            for target in plan.targets.values():
                self._told.put_nowait(await self._measured(solver, order, target))
        return replace(done, said={**done.said, **await caching.leave(solved)})

    async def _result(
        self, plan: BuildPlan, solver: Solver[PlannedStep, Built], platform: str
    ) -> Result:
        """What was solved for one platform, and what is to be known of it."""
        target = plan.targets[platform]
        built = solver.result(target)
        state = built.state
        if self._request.squashes:
            state = await self._squashed(state, bottom(target))
        if self._request.platforms:
            # Whoever says what an image is for is believed, also beside `FROM --platform`.
            state = state.for_platform(platform_from(platform, self._ground.store.host))
        others = {name: solver.result(top) for name, top in plan.others[platform].items()}
        return Result(platform, state, scan_extras(target.stage, built, others))

    async def _measured(
        self,
        solver: Solver[PlannedStep, Built],
        order: Sequence[Vertex[PlannedStep]],
        target: Vertex[PlannedStep],
    ) -> ResultMeasured:
        """What the layers of one result carry in vain."""
        layers = solver.result(target).state.layers
        openers = [partial(self._images.open_layer, each) for each in layers]
        hidden = await self._ground.offload(hidden_bytes, openers)
        numbers = {vertex: place for place, vertex in enumerate(order)}
        *above, lowest = chain(target)
        heights = {numbers[each]: len(solver.result(each).state.layers) for each in above}
        return wasted(hidden, heights, len(solver.result(lowest).state.layers))

    def _plans(self) -> BuildPlans:
        return BuildPlans(
            request=self._request,
            contexts=self._ports.contexts,
            bases=self._bases,
            host=self._ground.store.host,
            tell=self._told.put_nowait,
        )

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
            return await self._bases.find(reference, "")

        async def here(reference: str) -> BuildState | None:
            return await self._bases.here(reference, "")

        return Caching(
            request=self._request,
            registries=self._registries,
            tell=self._tell_push,
            layouts=self._layouts,
            images=self._images,
            find_here=here,
            find_image=find,
            warn=lambda text, problem: self._told.put_nowait(
                BuildWarned(text=text, problem=problem)
            ),
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

    def _exporting(self, facts: ProvenanceFacts, views: Views) -> Exporting:
        scanner = self._scanner(views)
        attesting = Attesting(wanted_provenance(self._request.attests), facts, scanner)
        return Exporting(
            request=self._request,
            sink=self._sink,
            images=self._images,
            files=self._files,
            work=self._work,
            layouts=self._layouts,
            registries=self._registries,
            tell=self._tell_push,
            attesting=attesting,
            offload=self._ground.offload,
        )

    def _scanner(self, views: Views) -> Scanner | None:
        wish = wanted_scan(self._request.attests)
        if wish is None:
            return None
        return Scanner(
            wish=wish,
            request=self._request,
            find=self._bases.find,
            containers=self._containers,
            files=self._files,
            views=views,
            work=self._work,
            tell=self._told.put_nowait,
            offload=self._ground.offload,
        )

    async def _tell_piece(self, piece: OutputPiece) -> None:
        await self._room.acquire()
        self._told.put_nowait(piece)

    def _executor(
        self, file: language.Dockerfile, views: Views, elsewhere: Elsewhere
    ) -> StepExecutor:
        ground, images = self._ground, self._images
        words = Words(file.escape, self._request)
        mounts = Mounts(
            ground=ground.mounts,
            ports=self._ports,
            words=words,
            views=views,
            files=self._files,
            work=self._work,
            offload=ground.offload,
            discards_volumes=self._request.discards_volumes,
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

    def _tell_push(self, progress: Progress) -> None:
        self._told.put_nowait(ResultPushed(progress=progress))


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
