"""What steps do: configurations change, files are copied, commands run, layers are kept."""

import hashlib
import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from wherry.build import dockerfile as language
from wherry.build.cache_table import BuildCache, CachedStep
from wherry.build.configuring import DEFAULT_SHELL, absolute, configured, for_shell
from wherry.build.copying import Wish, copy_inline, copy_paths, mode_of
from wherry.build.planning import PROXIES, Base, PlannedStep, Step
from wherry.build.solver import Tell
from wherry.build.trees import Tree, content_digest, found
from wherry.images import BuildImages, BuildState, LayerBlob, as_image, plain_layer
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.path_patterns import Ignore
from wherry.kit.random_ids import new_id, short_id
from wherry.kit.timestamps import rfc3339_nano
from wherry.model.builds import BuildRequest
from wherry.model.containers import ContainerSpec, LogSpec, NetworkSpec, TmpfsMount
from wherry.model.errors import DockerfileRefused, InvalidValue, StepEndedBadly
from wherry.model.ids import ContainerId, DiffId, SnapshotKey
from wherry.model.images import Image
from wherry.model.networks import NetworkMode, NetworkModeKind
from wherry.oci.image_spec import History
from wherry.operations import targets
from wherry.tasks import Tasks


class StepContainers(Protocol):
    """Runs the commands of steps; the engine's part."""

    async def create(self, spec: ContainerSpec, image: Image) -> ContainerId:
        """A container of an image that need not be recorded."""
        ...

    async def run(self, container_id: ContainerId, tell: Tell) -> int:
        """Start it and pass on what it writes; its exit code."""
        ...

    async def remove(self, container_id: ContainerId) -> None:
        """Whether it runs or not."""
        ...


@dataclass(frozen=True, slots=True)
class Built:
    """What is there after a step."""

    key: str
    state: BuildState
    arguments: Mapping[str, str] = field(default_factory=dict)
    """ARG of the stage, with their values."""
    platform: Mapping[str, str] = field(default_factory=dict)
    globals: Mapping[str, str] = field(default_factory=dict)
    has_command: bool = False
    """This Dockerfile has said CMD: an ENTRYPOINT behind it leaves it alone."""


class StepExecutor:
    """The steps of one build."""

    def __init__(
        self,
        *,
        request: BuildRequest,
        escape: str,
        context: Tree,
        images: BuildImages,
        cache: BuildCache,
        containers: StepContainers,
        tasks: Tasks,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._request = request
        self._escape = escape
        self._context = context
        self._images = images
        self._cache = cache
        self._containers = containers
        self._tasks = tasks
        self._offload = offload
        self._clock = clock

    # -- for the solver ----------------------------------------------------------------------

    async def key(self, step: PlannedStep, parent: Built | None, sources: Sequence[Built]) -> str:
        """By content: the parent's key, the instruction with its variables, and the files."""
        if isinstance(step, Base):
            state = step.state
            return _digest("base", str(state.image_id), str(sorted(step.global_arguments.items())))
        assert parent is not None
        instruction, scope = step.instruction, self._scope(parent)
        parts = [parent.key, type(instruction).__name__, _meaning(instruction, scope, parent)]
        match instruction:
            case language.Run():
                seen = self._run_environment(parent)
                parts += [f"{name}={value}" for name, value in sorted(seen.items())]
                parts += [str(self._request.network), *self._request.extra_hosts]
            case language.Copy() | language.Add():
                parts += await self._content_of(instruction, scope, sources)
            case _:
                pass
        return _digest(*parts)

    async def cached(self, key: str, step: PlannedStep, parent: Built | None) -> Built | None:
        """What an earlier run of the same step made, if all of it is still here."""
        if isinstance(step, Base) or parent is None or not self._request.uses_cache:
            return None
        if isinstance(step.instruction, language.Arg):
            return None
        row = await self._offload(self._cache_row, key)
        if row is None:
            return None
        below = parent.state
        if row.diff_id and not self._images.has(below, DiffId(row.diff_id)):
            return None
        layer = plain_layer(DiffId(row.diff_id), row.size_bytes) if row.diff_id else None
        return self._after(key, step, parent, layer, row.created_at_ns)

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
        created_at_ns = self._clock.now_ns()
        layer: LayerBlob | None = None
        match step.instruction:
            case language.Arg():
                return self._after(key, step, parent, None, created_at_ns)
            case language.Run():
                layer = await self._run(step.instruction, parent, tell)
            case language.Copy() | language.Add():
                layer = await self._copy(step.instruction, parent, sources)
            case language.WorkDir(path=path):
                place = absolute(self._scope(parent).word(path), parent.state.document.config)
                layer = await self._make_directory(parent.state, place)
            case _:
                pass
        built = self._after(key, step, parent, layer, created_at_ns)
        row = CachedStep(
            key=key,
            description=step.text[:200],
            chain_id=str(built.state.chain or ""),
            diff_id=str(layer.diff_id) if layer is not None else "",
            size_bytes=layer.blob_bytes if layer is not None else 0,
            created_at_ns=created_at_ns,
        )
        await self._offload(self._cache.put, row)
        return built

    def told(self, result: Built) -> str:
        """The short id of what is there now."""
        if not result.state.document.history and not result.state.layers:
            return " ---> \n"
        return f" ---> {short_id(result.state.image_id.removeprefix('sha256:'))}\n"

    # -- configurations ----------------------------------------------------------------------

    def _cache_row(self, key: str) -> CachedStep | None:
        return self._cache.get(key, now_ns=self._clock.now_ns())

    def _scope(self, parent: Built) -> language.Scope:
        """ENV wins over ARG."""
        env = dict(each.partition("=")[::2] for each in parent.state.document.config.env)
        return language.Scope({**parent.arguments, **env}, self._escape)

    def _after(
        self,
        key: str,
        step: Step,
        parent: Built,
        layer: LayerBlob | None,
        created_at_ns: int,
    ) -> Built:
        """The state behind a step: pure, so that a cached step gives the same bytes again."""
        instruction, state = step.instruction, parent.state
        if isinstance(instruction, language.Arg) and not instruction.pairs:
            # A stage on another one begins with its files and configuration, and no ARG of it.
            return replace(parent, key=key, arguments={}, has_command=False)
        scope = self._scope(parent)
        change = configured(instruction, state.document.config, scope)
        config, author = state.document.config, state.document.author
        comment = ""
        if change is not None:
            config, comment = change.config, f"#(nop)  {change.comment}"
            if isinstance(instruction, language.Entrypoint) and parent.has_command:
                config = replace(config, cmd=state.document.config.cmd)
            author = author if change.author is None else change.author
        elif isinstance(instruction, language.WorkDir):
            place = absolute(scope.word(instruction.path), config).rstrip("/") or "/"
            config = replace(config, working_dir=place)
            comment = f"#(nop) WORKDIR {place}"
        else:
            comment = self._comment(instruction, parent, scope)
        created = rfc3339_nano(created_at_ns)
        shell = " ".join(DEFAULT_SHELL)
        told = comment if isinstance(instruction, language.Run) else f"{shell} {comment}"
        history = History(
            created=created, created_by=told, author=author, empty_layer=layer is None
        )
        document = replace(
            state.document,
            created=created,
            author=author,
            comment="",
            config=config,
            history=(*state.document.history, history),
        )
        built = replace(state, document=document)
        if layer is not None:
            built = built.with_layer(layer)
        return replace(
            parent,
            key=key,
            state=built,
            arguments=self._arguments(instruction, parent, scope),
            has_command=parent.has_command or isinstance(instruction, language.Cmd),
        )

    def _arguments(
        self, instruction: language.Instruction, parent: Built, scope: language.Scope
    ) -> Mapping[str, str]:
        if not isinstance(instruction, language.Arg):
            return parent.arguments
        values = dict(parent.arguments)
        for name, default in instruction.pairs:
            given = self._request.arguments.get(name)
            if given is not None:
                values[name] = given
            elif default is not None:
                values[name] = self._word(scope, default, instruction.line)
            elif name in parent.globals:
                values[name] = parent.globals[name]
            elif name in parent.platform:
                values[name] = parent.platform[name]
        return values

    def _word(self, scope: language.Scope, text: str, line: int) -> str:
        try:
            return scope.word(text)
        except ValueError as error:
            raise DockerfileRefused(line, str(error)) from None

    def _comment(
        self, instruction: language.Instruction, parent: Built, scope: language.Scope
    ) -> str:
        """How the history tells of a step that changed files."""
        if isinstance(instruction, language.Run):
            command = " ".join(self._command(instruction, parent))
            seen = self._run_environment(parent)
            if not seen:
                return command
            told = " ".join(f"{name}={value}" for name, value in sorted(seen.items()))
            return f"|{len(seen)} {told} {command}"
        word, _blank, rest = instruction.text.partition(" ")
        return f"#(nop) {word.upper()} {rest.strip()}"

    # -- RUN ---------------------------------------------------------------------------------

    def _run_environment(self, parent: Built) -> dict[str, str]:
        """ARG that the command sees and no ENV hides."""
        env = {each.partition("=")[0] for each in parent.state.document.config.env}
        return {name: value for name, value in parent.arguments.items() if name not in env}

    def _command(self, run: language.Run, parent: Built) -> tuple[str, ...]:
        config = parent.state.document.config
        if not run.command.files or not run.command.is_for_shell:
            return for_shell(run.command, config)
        line = run.command.words[0]
        name = run.command.files[0].name
        first = run.command.files[0]
        if len(run.command.files) == 1 and line.strip().lstrip("<-\"'").rstrip("\"'") == name:
            if first.content.startswith("#!"):
                # A script with an interpreter of its own: given to it on its standard input.
                interpreter = first.content[2:].partition("\n")[0].split()
                return (*(config.shell or DEFAULT_SHELL), _as_input(interpreter, first.content))
            return (*(config.shell or DEFAULT_SHELL), first.content)
        documents = "".join(f"\n{each.content}{each.name}" for each in run.command.files)
        return (*(config.shell or DEFAULT_SHELL), line + documents)

    async def _run(self, run: language.Run, parent: Built, tell: Tell) -> LayerBlob | None:
        config = parent.state.document.config
        request = self._request
        environment = {**self._proxies(), **self._run_environment(parent)}
        network = request.network
        if run.network == "none":
            network = NetworkMode(kind=NetworkModeKind.NONE)
        command = self._command(run, parent)
        spec = ContainerSpec(
            image=parent.state.image_id,
            entrypoint=("",),
            command=command,
            environment=(
                *config.env,
                *(f"{name}={value}" for name, value in environment.items()),
            ),
            working_directory=config.working_dir,
            user=config.user,
            limits=request.limits,
            shm_bytes=request.shm_bytes,
            cgroup_parent=request.cgroup_parent,
            network=NetworkSpec(mode=network, extra_hosts=request.extra_hosts),
            log=LogSpec(driver="none"),
            mounts=tuple(
                TmpfsMount(
                    target=mount.options["target"], size_bytes=_bytes(mount.options.get("size"))
                )
                for mount in run.mounts
            ),
        )
        async with UndoStack() as undo:
            container_id = await self._containers.create(spec, as_image(parent.state))
            if not request.keeps_containers:
                undo.push(self._containers.remove, container_id)
            tell(f" ---> Running in {short_id(container_id)}\n")
            exit_code = await self._containers.run(container_id, tell)
            if exit_code:
                raise StepEndedBadly(" ".join(command), exit_code)
            layer = await self._offload(
                self._images.commit, SnapshotKey(container_id), parent.state
            )
        if not request.keeps_containers:
            tell(f" ---> Removed intermediate container {short_id(container_id)}\n")
        return layer

    def _proxies(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self._request.arguments.items()
            if name in PROXIES and value is not None
        }

    # -- files -------------------------------------------------------------------------------

    async def _content_of(
        self,
        step: language.Copy | language.Add,
        scope: language.Scope,
        sources: Sequence[Built],
    ) -> list[str]:
        """What the sources hold now."""
        async with UndoStack() as opened:
            tree = await self._tree(sources, opened)
            return await self._offload(self._digests, step, scope, tree)

    def _digests(
        self, step: language.Copy | language.Add, scope: language.Scope, tree: Tree
    ) -> list[str]:
        parts = []
        for source in step.sources:
            for path in found(tree, self._word(scope, source, step.line)):
                parts += [path, content_digest(tree, path, step.excluded)]
        for inline in step.inlines:
            parts += [inline.name, self._inline(inline, scope, step.line)]
        return parts

    def _inline(self, inline: language.Inline, scope: language.Scope, line: int) -> str:
        if not inline.expands:
            return inline.content
        try:
            return scope.heredoc(inline.content)
        except ValueError as error:
            raise DockerfileRefused(line, str(error)) from None

    async def _tree(self, sources: Sequence[Built], opened: UndoStack) -> Tree:
        """The context, or the files of a stage or image."""
        if not sources:
            return self._context
        root = await self._opened(sources[0].state, SnapshotKey(f"build-{new_id()}"), opened)
        return Tree(root, Ignore(()))

    async def _opened(
        self, state: BuildState, key: SnapshotKey, opened: UndoStack, *, writes: bool = False
    ) -> int:
        """The root of a snapshot on a state, mounted nowhere."""
        snapshots = self._images.snapshots
        opened.push(self._offload, snapshots.remove, key)
        await self._offload(snapshots.prepare, key, state.chain, why="a step copies files")
        rootfs = snapshots.rootfs(key)
        if state.chain is None and rootfs.upper:
            # On nothing there is nothing to mount: the snapshot's own directory is all of it.
            root = os.open(rootfs.upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        else:
            root = await self._tasks.open_view(rootfs, writes=writes)
        opened.push(self._offload, os.close, root)
        return root

    async def _copy(
        self, step: language.Copy | language.Add, parent: Built, sources: Sequence[Built]
    ) -> LayerBlob | None:
        scope, config = self._scope(parent), parent.state.document.config
        target = absolute(self._word(scope, step.target, step.line), config)
        owner_text = self._word(scope, step.owner, step.line)
        mode = mode_of(self._word(scope, step.mode, step.line))
        is_add = isinstance(step, language.Add)
        key = SnapshotKey(f"build-{new_id()}")
        async with UndoStack() as opened:
            tree = await self._tree(sources, opened)
            root = await self._opened(parent.state, key, opened, writes=True)

            def copy() -> None:
                wish = Wish(
                    instruction="ADD" if is_add else "COPY",
                    target=target,
                    owner=_owner(root, owner_text, has_origin=bool(sources)),
                    mode=mode,
                    keeps_parents=getattr(step, "keeps_parents", False),
                    excluded=step.excluded,
                    unpacks=isinstance(step, language.Add) and step.unpacks is not False,
                )
                paths = [
                    path
                    for source in step.sources
                    for path in found(tree, self._word(scope, source, step.line))
                ]
                if len(step.sources) + len(step.inlines) > 1 and not target.endswith("/"):
                    raise InvalidValue(
                        f"When using {wish.instruction} with more than one source file, the "
                        "destination must be a directory and end with a /"
                    )
                copy_paths(root, tree, paths, wish)
                for inline in step.inlines:
                    content = self._inline(inline, scope, step.line)
                    copy_inline(root, inline.name, content.encode(errors="surrogateescape"), wish)

            await self._offload(copy)
            return await self._offload(self._images.commit, key, parent.state)

    async def _make_directory(self, state: BuildState, place: str) -> LayerBlob | None:
        """A working directory that is not there yet."""
        key = SnapshotKey(f"build-{new_id()}")
        async with UndoStack() as opened:
            root = await self._opened(state, key, opened, writes=True)

            def make() -> bool:
                path = posixpath.normpath(place)
                directory, made = targets.open_directory(root, path)
                os.close(directory)
                return bool(made)

            if not await self._offload(make):
                return None
            return await self._offload(self._images.commit, key, state)


def _meaning(instruction: language.Instruction, scope: language.Scope, parent: Built) -> str:
    """An instruction with everything that its result depends on, but for files."""
    config = parent.state.document.config
    change = configured(instruction, config, scope)
    if change is not None:
        arguments = ""
        if isinstance(instruction, language.Arg):
            arguments = str(instruction.pairs)
        return f"{change.comment}\0{arguments}"
    seen = sorted(
        (name, value) for name, value in scope.values.items() if f"{name}" in instruction.text
    )
    inlines = getattr(instruction, "inlines", ()) or getattr(
        getattr(instruction, "command", None), "files", ()
    )
    return f"{instruction.text}\0{inlines}\0{seen}\0{config.working_dir}\0{config.shell}"


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode(errors="surrogateescape")
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def _owner(root: int, text: str, *, has_origin: bool) -> tuple[int, int] | None:
    """Whom copied files belong to: by `--chown`, or root; those of a stage stay whose they are."""
    from wherry.runtime import accounts

    if not text:
        return None if has_origin else (0, 0)
    user, _colon, group = text.partition(":")
    try:
        identity = accounts.resolve(root, text)
    except accounts.AccountNotFound as error:
        raise InvalidValue(
            f"unable to convert uid/gid chown string to host mapping: can't find "
            f"{'gid for group' if error.is_group else 'uid for user'} {error.reference}: no such "
            f"{'group' if error.is_group else 'user'}: {error.reference}"
        ) from error
    gid = identity.gid if group or not user.isdigit() else int(user)
    return identity.uid, gid


def _as_input(interpreter: list[str], script: str) -> str:
    marker = "WHERRY_" + hashlib.sha256(script.encode(errors="surrogateescape")).hexdigest()[:12]
    return f"{' '.join(interpreter)} /dev/stdin <<'{marker}'\n{script}{marker}"


def _bytes(text: str | None) -> int:
    if not text:
        return 0
    unit = {"k": 10, "m": 20, "g": 30}.get(text[-1].lower(), 0)
    return int(text[:-1] if unit else text) << unit
