"""What steps mean: a name for what each one sees, what an earlier run made, and doing it."""

from collections.abc import Sequence

from wherry.builder import dockerfile as language
from wherry.builder.cache.causes import EPOCH_DETAIL, Causes
from wherry.builder.cache.imports import Elsewhere
from wherry.builder.cache.seen_steps import SeenStep, named
from wherry.builder.cache.table import BuildCache, CachedStep
from wherry.builder.configuring import absolute
from wherry.builder.digests import digest_of
from wherry.builder.planning import Base, PlannedStep, Step, is_boundary
from wherry.builder.solver import Tell
from wherry.builder.states import Built, Words, after, meaning
from wherry.builder.steps.commands import Commands
from wherry.builder.steps.filling import Filling
from wherry.images import NOTHING, BuildImages, BuildState, LayerBlob, plain_layer
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.kit.values import replace
from wherry.model.build_causes import CauseKind, StepCause, StepWhy
from wherry.model.builds import BuildRequest, HistoryForm
from wherry.model.ids import DiffId
from wherry.snapshots import TAR_END


class StepExecutor:
    """The steps of one build."""

    def __init__(
        self,
        *,
        request: BuildRequest,
        words: Words,
        commands: Commands,
        filling: Filling,
        images: BuildImages,
        cache: BuildCache,
        elsewhere: Elsewhere,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._request = request
        self._words = words
        self._commands = commands
        self._filling = filling
        self._images = images
        self._cache = cache
        self._elsewhere = elsewhere
        self._causes = Causes(cache, began_ns=clock.now_ns())
        self._seen: dict[str, SeenStep] = {}
        self._copied: dict[str, str] = {}
        """What each step saw, and what each COPY and ADD took, by the step's key."""
        self._links: dict[str, str] = {}
        """What copies that stand on nothing (`--link`) are called whatever is below them."""
        self._offload = offload
        self._clock = clock

    async def key(self, step: PlannedStep, parent: Built | None, sources: Sequence[Built]) -> str:
        """By all that a step sees: the parent's key, the instruction's words, the files."""
        if isinstance(step, Base):
            return digest_of("base", str(step.state.image_id), self._epoch)
        assert parent is not None
        instruction = step.instruction
        details = {EPOCH_DETAIL: self._epoch}
        parts, mentioned = meaning(instruction, self._words.scope(parent), parent)
        details |= mentioned
        copied = ""
        match instruction:
            case language.Run():
                seen, files = await self._commands.seen_by(step, parent, sources)
                parts, details = parts | seen, details | files
            case language.Copy() | language.Add():
                content = await self._filling.content_of(step, instruction, parent, sources)
                parts["files"], copied = content.digest, content.told
                details |= named("files", content.files)
            case _:
                pass
        seen_step = SeenStep(
            text=step.text,
            kind=type(instruction).__name__,
            stage=step.stage,
            parent=parent.key,
            base=parent.base,
            base_id=parent.base_id,
            parts=parts,
            details=details,
        )
        key = seen_step.key
        self._seen[key], self._copied[key] = seen_step, copied
        if self._filling.stands_alone(instruction, parent):
            self._links[key] = replace(seen_step, parent=f"link {self._epoch}").key
        return key

    @property
    def _epoch(self) -> str:
        """The moment that everything is made at; it is seen by all steps."""
        latest_ns = self._images.latest_ns
        return "" if latest_ns is None else str(latest_ns // 1_000_000_000)

    async def cached(self, key: str, step: PlannedStep, parent: Built | None) -> Built | None:
        """What an earlier run of the same step made, if all of it is still here."""
        if isinstance(step, Base) or parent is None or not self._may_be_cached(step):
            return None
        found = await self._offload(self._found, key, step, parent)
        found = found or await self._found_by_link(key, step, parent)
        return found or await self._found_elsewhere(key, step, parent)

    def _may_be_cached(self, step: Step) -> bool:
        return self._request.uses_cache and not step.is_uncached and not is_boundary(step)

    def _found(self, key: str, step: Step, parent: Built) -> Built | None:
        row = self._row(key)
        if row is None or (row.diff_id and not self._is_here(parent.state, DiffId(row.diff_id))):
            return None
        layer = plain_layer(DiffId(row.diff_id), row.size_bytes) if row.diff_id else None
        layer = self._in_form(step, parent, layer)
        return self._after(key, step, parent, layer, row.created_at_ns)

    def _is_here(self, below: BuildState, diff_id: DiffId) -> bool:
        """Whether a layer is on a stack. The same one without empty layers may have it as well."""
        if self._images.has(below, diff_id):
            return True
        return not self._request.only_plans and self._images.put_on(below, diff_id) is not None

    async def _found_by_link(self, key: str, step: Step, parent: Built) -> Built | None:
        """The layer of a copy that was made on something else: it is put on this, as it is."""
        link = self._links.get(key)
        row = await self._offload(self._linked, link) if link else None
        if row is None or not row.diff_id:
            return None
        if self._request.only_plans:
            layer: LayerBlob | None = plain_layer(DiffId(row.diff_id), row.size_bytes)
        else:
            layer = await self._offload(self._images.put_on, parent.state, DiffId(row.diff_id))
        if layer is None:
            return None
        built = self._after(key, step, parent, layer, row.created_at_ns)
        if not self._request.only_plans:
            await self._keep(step, parent, built, layer, row.created_at_ns)
        return built

    def _linked(self, link: str) -> CachedStep | None:
        key = self._cache.key_of_link(link)
        return self._row(key) if key is not None else None

    def _row(self, key: str) -> CachedStep | None:
        """What is kept of a step, which is used by this unless nothing is to be done."""
        if self._request.only_plans:
            return self._cache.look(key)
        return self._cache.get(key, now_ns=self._clock.now_ns())

    def stands_alone(self, key: str) -> bool:
        """Whether a step's layer is the same whatever is below it."""
        return key in self._links

    def has_files(self, built: Built) -> bool:
        """Whether what a step gives is here, and not only what it would be called."""
        return self._images.has_files(built.state)

    def is_kept(self, key: str) -> bool:
        """Whether there is a result of this name, whatever became of its files."""
        return self._request.uses_cache and self._cache.look(key) is not None

    def assumed(self, key: str, step: Step, parent: Built) -> Built:
        """What a step would give, but for its files. Raises: DockerfileRefused."""
        return after(self._words, key, step, parent, None, 0, "COPY")

    async def why(self, key: str, step: PlannedStep, parent: Built | None) -> StepWhy | None:
        """Why a step was not found; None for a beginning, which only is there."""
        return await self._offload(self._why, key, step, parent)

    def _why(self, key: str, step: PlannedStep, parent: Built | None) -> StepWhy | None:
        if isinstance(step, Base) or parent is None:
            return self._causes.of_base(step) if isinstance(step, Base) else None
        if is_boundary(step):
            self._causes.pass_on(key, parent.key)
            return None
        seen = self._seen[key]
        if not self._request.uses_cache:
            cause = StepCause(kind=CauseKind.NO_CACHE)
            return self._causes.asked_for(key, seen, step, cause)
        if step.is_uncached:
            cause = StepCause(kind=CauseKind.NO_CACHE, subject=step.stage)
            return self._causes.asked_for(key, seen, step, cause)
        was_known = self._cache.look(key) is not None
        return self._causes.of(key, seen, step, was_known=was_known)

    async def _found_elsewhere(self, key: str, step: Step, parent: Built) -> Built | None:
        """The step's result as a cache or an image has it that was named (`--cache-from`)."""
        found = await self._elsewhere.find(key, parent.state)
        if found is None:
            return None
        layer = await self._offload(self._in_form, step, parent, found.layer)
        built = self._after(key, step, parent, layer, found.created_at_ns)
        await self._keep(step, parent, built, layer, found.created_at_ns)
        return built

    async def _keep(
        self, step: Step, parent: Built, built: Built, layer: LayerBlob | None, created_at_ns: int
    ) -> None:
        if layer is not None and layer.diff_id == NOTHING:
            layer = None
        row = CachedStep(
            key=built.key,
            description=step.text[:200].encode(errors="replace").decode(),
            chain_id=str(built.state.chain or ""),
            diff_id=str(layer.diff_id) if layer is not None else "",
            size_bytes=layer.blob_bytes if layer is not None else 0,
            created_at_ns=created_at_ns,
            parent=parent.key,
            link=self._links.get(built.key, ""),
        )
        await self._offload(self._cache.put, row, self._seen[built.key])

    def _after(
        self, key: str, step: Step, parent: Built, layer: LayerBlob | None, created_at_ns: int
    ) -> Built:
        copied = self._copied.get(key, "")
        return after(self._words, key, step, parent, layer, created_at_ns, copied)

    async def run(
        self,
        key: str,
        step: PlannedStep,
        parent: Built | None,
        sources: Sequence[Built],
        tell: Tell,
    ) -> Built:
        """Do a step, and keep what it made. Raises: DockerfileRefused, StepEndedBadly, ..."""
        if isinstance(step, Base):
            return Built(
                key,
                step.state,
                platform=step.platform_arguments,
                globals=step.global_arguments,
                base=step.reference,
                base_id=str(step.state.image_id),
            )
        assert parent is not None
        created_at_ns = self._images.latest_ns
        if created_at_ns is None:
            created_at_ns = self._clock.now_ns()
        if is_boundary(step):
            return self._after(key, step, parent, None, created_at_ns)
        made = await self._layer(step, parent, sources, tell)
        layer = await self._offload(self._in_form, step, parent, made)
        built = self._after(key, step, parent, layer, created_at_ns)
        await self._keep(step, parent, built, layer, created_at_ns)
        return built

    def _in_form(self, step: Step, parent: Built, layer: LayerBlob | None) -> LayerBlob | None:
        """A step's layer as its builder's images have it; blocks. Raises: StepFailed.

        Where no file was changed, the classic builder has none. BuildKit has one that is empty,
        but for metadata and the root, which nobody makes.
        """
        if layer is not None and layer.diff_id != NOTHING:
            return layer
        makes_root = isinstance(step.instruction, language.WorkDir) and self._place(
            step.instruction, parent
        ) in ("/", "//")
        if not step.changes_files or makes_root or self._words.history is HistoryForm.CLASSIC:
            return None
        if self._request.only_plans:
            return plain_layer(NOTHING, len(TAR_END))
        return self._images.nothing(parent.state)

    def _place(self, instruction: language.WorkDir, parent: Built) -> str:
        path = self._words.scope(parent).word(instruction.path)
        return absolute(path, parent.state.document.config)

    def name(self, result: Built) -> str:
        """The id of the image that is there now; empty for nothing at all."""
        state = result.state
        return state.image_id if state.document.history or state.layers else ""

    def size(self, result: Built) -> int:
        """The bytes of what the step added."""
        return result.layer_bytes

    async def _layer(
        self, step: Step, parent: Built, sources: Sequence[Built], tell: Tell
    ) -> LayerBlob | None:
        match step.instruction:
            case language.Run():
                return await self._commands.run(step, step.instruction, parent, sources, tell)
            case language.Copy() | language.Add():
                return await self._filling.copy(step, step.instruction, parent, sources)
            case language.WorkDir() as instruction:
                place = self._place(instruction, parent)
                return await self._filling.make_directory(parent.state, place)
            case _:
                return None
