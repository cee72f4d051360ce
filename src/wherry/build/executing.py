"""What steps mean: a name for what each one sees, what an earlier run made, and doing it."""

from collections.abc import Sequence

from wherry.build import dockerfile as language
from wherry.build.cache_images import CacheImages
from wherry.build.cache_table import BuildCache, CachedStep
from wherry.build.commands import Commands
from wherry.build.configuring import absolute
from wherry.build.filling import Filling
from wherry.build.planning import Base, PlannedStep, Step, is_boundary
from wherry.build.solver import Tell
from wherry.build.states import Built, Words, after, digest_of, meaning
from wherry.images import BuildImages, LayerBlob, plain_layer
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.model.builds import BuildRequest
from wherry.model.ids import DiffId


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
        elsewhere: CacheImages,
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
        self._copied: dict[str, str] = {}
        """What each COPY and ADD took, by its key."""
        self._offload = offload
        self._clock = clock

    async def key(self, step: PlannedStep, parent: Built | None, sources: Sequence[Built]) -> str:
        """By content: the parent's key, the instruction with its variables, and the files."""
        if isinstance(step, Base):
            arguments = str(sorted(step.global_arguments.items()))
            epoch = str(self._images.latest_ns)
            return digest_of("base", str(step.state.image_id), arguments, epoch)
        assert parent is not None
        instruction = step.instruction
        scope = self._words.scope(parent)
        parts = [parent.key, type(instruction).__name__, meaning(instruction, scope, parent)]
        match instruction:
            case language.Run():
                parts += await self._commands.seen_by(step, parent, sources)
            case language.Copy() | language.Add():
                copied = await self._filling.content_of(step, instruction, parent, sources)
                key = digest_of(*parts, copied)
                self._copied[key] = copied
                return key
            case _:
                pass
        return digest_of(*parts)

    async def cached(self, key: str, step: PlannedStep, parent: Built | None) -> Built | None:
        """What an earlier run of the same step made, if all of it is still here."""
        if isinstance(step, Base) or parent is None or not self._request.uses_cache:
            return None
        if step.is_uncached or is_boundary(step):
            return None
        row = await self._offload(self._cache_row, key)
        below = parent.state
        if row is None or (row.diff_id and not self._images.has(below, DiffId(row.diff_id))):
            return self._in_images(key, step, parent)
        layer = plain_layer(DiffId(row.diff_id), row.size_bytes) if row.diff_id else None
        return self._after(key, step, parent, layer, row.created_at_ns)

    def _in_images(self, key: str, step: Step, parent: Built) -> Built | None:
        """The step's result as an image has it that was named for this (`--cache-from`)."""
        told = self._after(key, step, parent, None, 0).state.document.history[-1:]
        found = self._elsewhere.find(parent.state, told[0].created_by or "") if told else None
        if found is None:
            return None
        return self._after(key, step, parent, found.layer, found.created_at_ns)

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
                key, step.state, platform=step.platform_arguments, globals=step.global_arguments
            )
        assert parent is not None
        created_at_ns = self._images.latest_ns
        if created_at_ns is None:
            created_at_ns = self._clock.now_ns()
        if is_boundary(step):
            return self._after(key, step, parent, None, created_at_ns)
        layer = await self._layer(step, parent, sources, tell)
        built = self._after(key, step, parent, layer, created_at_ns)
        row = CachedStep(
            key=key,
            description=step.text[:200],
            chain_id=str(built.state.chain or ""),
            diff_id=str(layer.diff_id) if layer is not None else "",
            size_bytes=layer.blob_bytes if layer is not None else 0,
            created_at_ns=created_at_ns,
            parent=parent.key,
        )
        await self._offload(self._cache.put, row)
        return built

    def name(self, result: Built) -> str:
        """The id of the image that is there now; empty for nothing at all."""
        state = result.state
        return state.image_id if state.document.history or state.layers else ""

    async def _layer(
        self, step: Step, parent: Built, sources: Sequence[Built], tell: Tell
    ) -> LayerBlob | None:
        match step.instruction:
            case language.Run():
                return await self._commands.run(step, step.instruction, parent, sources, tell)
            case language.Copy() | language.Add():
                return await self._filling.copy(step, step.instruction, parent, sources)
            case language.WorkDir(path=path):
                config = parent.state.document.config
                place = absolute(self._words.scope(parent).word(path), config)
                return await self._filling.make_directory(parent.state, place)
            case _:
                return None

    def _cache_row(self, key: str) -> CachedStep | None:
        return self._cache.get(key, now_ns=self._clock.now_ns())
