"""From a Dockerfile to the graph of its steps: only the stages that the target needs."""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Mapping

from wherry.builder import dockerfile as language
from wherry.builder.solver import Vertex
from wherry.builder.sources.ports import ContextFiles
from wherry.images import BuildState
from wherry.kit.urls import without_credentials
from wherry.kit.values import dataclass, replace
from wherry.model.builds import PROXIES as PROXIES
from wherry.model.errors import InvalidValue
from wherry.model.errors.builds import DockerfileRefused

EPOCH = "SOURCE_DATE_EPOCH"
"""The argument that says when everything was made, in seconds since 1970; it needs no ARG."""

SCAN_STAGE, SCAN_CONTEXT = "BUILDKIT_SBOM_SCAN_STAGE", "BUILDKIT_SBOM_SCAN_CONTEXT"
"""Arguments that say what else is scanned; no command sees them."""

_SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Base:
    """The beginning of a stage: an image, or nothing."""

    reference: str
    state: BuildState
    text: str
    platform_arguments: Mapping[str, str]
    global_arguments: Mapping[str, str]
    platform: str = ""
    """What the image is to be for."""
    is_missing: bool = False
    """Of a plan: the image is not here, and what it holds is not known."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A mount of RUN, and where its files come from."""

    mount: language.RunMount
    line: int
    source: int | None = None
    """A stage or image, by its place among the sources of the step."""
    context: str = ""
    """Otherwise a named context; empty for the main one."""


FILE_STEPS = (language.Run, language.Copy, language.Add, language.WorkDir)
"""Instructions that may change files; others change what the image says."""


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction on what is there."""

    instruction: language.Instruction
    text: str
    context: str = ""
    """The named context that it copies from; empty for the main one, or for none."""
    is_uncached: bool = False
    """What an earlier build made is not taken."""
    stage: str = ""
    mounts: tuple[Origin, ...] = ()

    @property
    def changes_files(self) -> bool:
        """Whether it may; others change what the image says."""
        return isinstance(self.instruction, FILE_STEPS)


def is_boundary(step: Step) -> bool:
    """Whether a step only marks that a stage begins on another one; nobody wrote it."""
    return isinstance(step.instruction, language.Arg) and not step.instruction.pairs


PlannedStep = Base | Step
FindImage = Callable[[str, str], Awaitable[BuildState | None]]
"""The image of a reference, for a platform; None: it is not here, and nothing is to be done."""


class Planner:
    """Makes the graph of one build."""

    def __init__(
        self,
        file: language.Dockerfile,
        *,
        arguments: Mapping[str, str | None],
        platform_arguments: Mapping[str, str],
        labels: Mapping[str, str],
        find_image: FindImage,
        scratch: BuildState,
        contexts: Mapping[str, ContextFiles | str],
        shown_platform: str = "",
        uncached_stages: Collection[str] = (),
        entitlements: Collection[str] = (),
    ) -> None:
        self._file = file
        self._arguments = arguments
        self._platform = platform_arguments
        self._labels = labels
        self._find_image = find_image
        self._scratch = scratch
        self._contexts = contexts
        self._shown_platform = shown_platform
        self._entitlements = entitlements
        self._uncached = frozenset(each.lower() for each in uncached_stages)
        self._places: dict[str, list[int]] = {}
        """The stages that have a name, in their order: a later one hides an earlier one."""
        for index, stage in enumerate(file.stages):
            if stage.start.name:
                self._places.setdefault(stage.start.name, []).append(index)
        self._tops: dict[str, Vertex[PlannedStep]] = {}
        self.others: dict[str, Vertex[PlannedStep]] = {}
        """The last steps of the stages that the target needs, by their names."""
        self.vertices: list[Vertex[PlannedStep]] = []
        """All that were planned, in the order of the file."""
        self.used: set[str] = set()
        """Build arguments that some ARG asked for."""
        self.skipped: list[language.From] = []
        """Where stages begin that the target does not need."""

    async def target(self, wanted: str) -> Vertex[PlannedStep]:
        """The last step of a stage. Raises: DockerfileRefused, InvalidValue, ImageNotFound."""
        index = len(self._file.stages) - 1
        if wanted:
            index = self._index(wanted.lower(), len(self._file.stages))
            if index < 0:
                raise InvalidValue(f'target stage "{wanted}" could not be found')
        values = self._global_arguments()
        order = self._in_order(index, values)
        wanted_places = set(order)
        self.skipped = [
            stage.start
            for place, stage in enumerate(self._file.stages)
            if place not in wanted_places
        ]
        for each in order:
            top = await self._stage(each, values, is_target=each == index)
            self._tops[str(each)] = top
            if each != index:
                name = self._file.stages[each].start.name
                self.others[name or f"stage-{each}"] = top
        return self._tops[str(index)]

    # -- stages ------------------------------------------------------------------------------

    def _index(self, name: str, before: int) -> int:
        """Which stage a name or number means, among those before another; -1 for none.

        A named context takes the place of a stage, as of an image.
        """
        if name in self._contexts:
            return -1
        if name.isascii() and name.isdigit() and len(name) < 8:
            return int(name) if int(name) < before else -1
        places = self._places.get(name, ())
        number = bisect_left(places, before)
        return places[number - 1] if number else -1

    def _in_order(self, target: int, values: Mapping[str, str]) -> list[int]:
        """The stages that one needs and itself: they only ever need those before them."""
        wanted, waiting = {target}, [target]
        while waiting:
            index = waiting.pop()
            stage = self._file.stages[index]
            names = [self._base_name(stage.start, values)]
            names += [name for step in stage.steps for name in _origins(step)]
            for name in names:
                below = self._index(name.lower(), index)
                if name and below >= 0 and below not in wanted:
                    wanted.add(below)
                    waiting.append(below)
        return sorted(wanted)

    def _base_name(self, start: language.From, values: Mapping[str, str]) -> str:
        scope = language.Scope(values, self._file.escape)
        try:
            name = scope.word(start.base)
        except ValueError as error:
            raise DockerfileRefused(start.line, str(error)) from None
        if not name:
            raise DockerfileRefused(start.line, f"base name ({start.base}) should not be blank")
        return name

    async def _stage(
        self, index: int, values: Mapping[str, str], *, is_target: bool
    ) -> Vertex[PlannedStep]:
        stage = self._file.stages[index]
        start, called = stage.start, stage.start.name or str(index)
        name = self._base_name(start, values)
        below = self._index(name.lower(), index)
        top: Vertex[PlannedStep]
        steps: list[language.Instruction] = []
        triggered: list[language.Instruction] = []
        if below >= 0:
            top = self._tops[str(below)]
            boundary = Step(language.Arg(line=start.line, text="", pairs=()), "")
            top = self._noted(
                Vertex(
                    boundary,
                    parent=top,
                    label=start.text,
                    stage=called,
                    line=start.line,
                    is_metadata=True,
                )
            )
        else:
            found = await self._base(name, start, values)
            state = found or self._scratch
            triggers = state.document.config.on_build
            if triggers:
                triggered = [language.parse_trigger(each) for each in triggers]
                config = replace(state.document.config, on_build=())
                state = replace(state, document=replace(state.document, config=config))
            state = _with_search_path(state)
            base = Base(name, state, start.text, self._platform, values, is_missing=found is None)
            image = "" if found is self._scratch else name
            top = self._noted(
                Vertex(
                    base,
                    label=start.text,
                    stage=called,
                    base=image,
                    line=start.line,
                    is_metadata=not image,
                )
            )
            if self._is_files(name):
                steps.insert(0, _everything(name, start.line))
        steps += stage.steps
        if is_target and self._labels:
            steps += [_label(*each) for each in sorted(self._labels.items())]
        for step in triggered:
            top = await self._step(step, top, index, called)
            top.is_trigger = True
        for step in steps:
            top = await self._step(step, top, index, called)
        return top

    def _is_files(self, name: str) -> bool:
        """Whether a name is that of a context with files."""
        return not isinstance(self._contexts.get(name.lower(), ""), str)

    async def _base(
        self, name: str, start: language.From, values: Mapping[str, str]
    ) -> BuildState | None:
        if name == "scratch" or self._is_files(name):
            return self._scratch
        try:
            platform = language.Scope(values, self._file.escape).word(start.platform)
        except ValueError as error:
            raise DockerfileRefused(start.line, str(error)) from None
        return await self._image(name, platform)

    async def _step(
        self, step: language.Instruction, parent: Vertex[PlannedStep], index: int, stage: str
    ) -> Vertex[PlannedStep]:
        sources: tuple[Vertex[PlannedStep], ...] = ()
        context = ""
        mounts: tuple[Origin, ...] = ()
        if isinstance(step, language.Copy) and step.origin:
            if self._is_files(step.origin):
                context = step.origin.lower()
            else:
                sources = (await self._origin(step.origin, index),)
        if isinstance(step, language.Run):
            self._check_entitlements(step)
            mounts, sources = await self._mounts(step, index)
        if isinstance(step, language.Arg):
            self.used |= {name for name, _default in step.pairs}
        text = without_credentials(step.text)
        planned = Step(step, text, context, stage in self._uncached, stage, mounts)
        return self._noted(
            Vertex(
                planned,
                parent=parent,
                sources=sources,
                label=text,
                stage=stage,
                line=step.line,
                is_metadata=not planned.changes_files,
            )
        )

    def _noted(self, vertex: Vertex[PlannedStep]) -> Vertex[PlannedStep]:
        vertex.platform = self._shown_platform
        self.vertices.append(vertex)
        return vertex

    async def _mounts(
        self, run: language.Run, index: int
    ) -> tuple[tuple[Origin, ...], tuple[Vertex[PlannedStep], ...]]:
        """Where the mounts of a command come from, and the vertices that it needs for them."""
        origins: list[Origin] = []
        sources: list[Vertex[PlannedStep]] = []
        for mount in run.mounts:
            name = mount.options.get("from", "")
            if not name or self._is_files(name):
                origins.append(Origin(mount, run.line, context=name.lower()))
            else:
                origins.append(Origin(mount, run.line, source=len(sources)))
                sources.append(await self._origin(name, index))
        return tuple(origins), tuple(sources)

    def _check_entitlements(self, run: language.Run) -> None:
        """Raises: InvalidValue, for what the user did not allow."""
        for wanted, entitlement in (
            (run.network == "host", "network.host"),
            (run.security == "insecure", "security.insecure"),
        ):
            if wanted and entitlement not in self._entitlements:
                raise InvalidValue(f"granting entitlement {entitlement} is not allowed")

    async def _origin(self, name: str, index: int) -> Vertex[PlannedStep]:
        """Where `--from` leads, if not to a context: a stage, or an image."""
        below = self._index(name.lower(), index)
        if below >= 0:
            return self._tops[str(below)]
        if name.isascii() and name.isdigit() and name not in self._contexts:
            raise InvalidValue(f"invalid from flag value {name}: index out of bounds")
        found = await self._image(name, "")
        base = Base(name, found or self._scratch, "", {}, {}, is_missing=found is None)
        return self._noted(Vertex(base, base=name))

    async def _image(self, name: str, platform: str) -> BuildState | None:
        """An image by its name, or by that of a context that stands for one."""
        context = self._contexts.get(name.lower(), name)
        assert isinstance(context, str)
        return await self._find_image(context, platform)

    def _global_arguments(self) -> dict[str, str]:
        """What FROM sees: ARG before the first FROM, and the platforms."""
        values = dict(self._platform)
        for line in self._file.arguments:
            for name, default in line.pairs:
                self.used.add(name)
                given = self._arguments.get(name)
                scope = language.Scope(values, self._file.escape)
                try:
                    value = scope.word(default) if default is not None else ""
                except ValueError as error:
                    raise DockerfileRefused(line.line, str(error)) from None
                if given is not None:
                    values[name] = given
                elif default is not None:
                    values[name] = value
        return values


def _origins(step: language.Instruction) -> list[str]:
    """The stages, images and contexts that a step takes files from."""
    match step:
        case language.Copy(origin=origin) if origin:
            return [origin]
        case language.Run(mounts=mounts):
            return [each.options["from"] for each in mounts if each.options.get("from")]
        case _:
            return []


def _with_search_path(state: BuildState) -> BuildState:
    """A base on which programs are found: imported files bring no PATH of their own."""
    config = state.document.config
    if any(each.startswith("PATH=") for each in config.env):
        return state
    config = replace(config, env=(*config.env, _SEARCH_PATH))
    return replace(state, document=replace(state.document, config=config))


def _everything(context: str, line: int) -> language.Copy:
    """The instruction that a stage on a context with files begins with."""
    return language.Copy(
        line=line, text=f"COPY --from={context} / /", sources=("",), inlines=(), target="/",
        origin=context,
    )  # fmt: skip


def _label(name: str, value: str) -> language.Label:
    """The instruction that one `--label` stands for; its words are not expanded."""
    pair = (_quoted(name), _quoted(value))
    return language.Label(line=0, text=f"LABEL {name}={value}", pairs=(pair,))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"
