"""`RUN --mount`: what a command sees for as long as it runs, and no layer ever has.

So it is with declared volumes, where the classic builder's ways are wanted: a command has a copy
of what is there.

- *bind*: files of a context, a stage or an image, as a copy of the step's own: what the command
  writes to it goes with the step, and nothing it does reaches where they came from;
- *cache*: a directory that the next build finds again (`cache_mounts`);
- *tmpfs*: memory;
- *secret*: a file in the engine's run directory, which is memory, or a variable whose value the
  engine reads from such a file when the container starts, so that no record has it;
- *ssh*: a socket, whose connections are passed on to the user's agent.
"""

import asyncio
import contextlib
import os
import posixpath
import stat
from collections.abc import Mapping, Sequence

from wherry.builder.configuring import absolute
from wherry.builder.planning import Origin, Step
from wherry.builder.sources.contexts import Views
from wherry.builder.sources.directory_trees import DirectoryTree
from wherry.builder.sources.ports import BuildPorts
from wherry.builder.sources.trees import Renamed, View
from wherry.builder.states import Built, Words
from wherry.builder.steps.cache_mounts import CacheMounts, CacheWish
from wherry.builder.steps.stage_files import StageFiles
from wherry.builder.work_places import WorkPlaces
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.values import dataclass, field
from wherry.linux.files import open_in_root
from wherry.model.containers import BindMount, MountSpec, TmpfsMount
from wherry.model.errors import InvalidValue
from wherry.snapshots import UnpackRules, unpack_tar

_SECRETS, _AGENT = "/run/secrets", "/run/buildkit/ssh_agent"
"""Where BuildKit puts what has no target."""
_DEFAULT_AGENT = "default"


@dataclass(slots=True)
class StepMounts:
    """The mounts of one command, while it runs."""

    mounts: list[MountSpec] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Variables, and the files that their values are in."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Where something is mounted."""
        return tuple(each.target for each in self.mounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountGround:
    """What the mounts of all builds stand on."""

    caches: CacheMounts
    run_directory: str
    """Where secrets and sockets are; in memory."""


class Mounts:
    """The mounts of one build's commands."""

    def __init__(
        self,
        *,
        ground: MountGround,
        ports: BuildPorts,
        words: Words,
        views: Views,
        files: StageFiles,
        work: WorkPlaces,
        offload: OffloadPool,
        discards_volumes: bool,
    ) -> None:
        self._ground = ground
        self._discards_volumes = discards_volumes
        self._ports = ports
        self._words = words
        self._views = views
        self._files = files
        self._work = work
        self._offload = offload

    async def seen(
        self, step: Step, parent: Built, sources: Sequence[Built]
    ) -> dict[str, dict[str, str]]:
        """The files that a command sees by its binds, and a digest for each.

        A cache, a secret or an agent is no part: a step that is kept does not run for them.
        """
        found = {}
        for number, origin in enumerate(step.mounts):
            if origin.mount.kind != "bind":
                continue
            options = self._options(origin, parent)
            source = options.get("source", "")
            async with UndoStack() as opened:
                view = await self._view(origin, source, sources, opened)
                name = f"files of mount {number} at {options.get('target', '')}"
                found[name] = await self._offload(_digests, view, _clean(source))
        return found

    def volumes(self, parent: Built) -> Sequence[str]:
        """The declared volumes that a command has copies of: their places."""
        if not self._discards_volumes:
            return ()
        return [f"/{_clean(each)}" for each in parent.state.document.config.volumes]

    async def prepared(
        self,
        step: Step,
        parent: Built,
        sources: Sequence[Built],
        opened: UndoStack,
        *,
        hidden: Mapping[str, str],
    ) -> StepMounts:
        """Everything that a command's mounts need, until the stack goes.

        `hidden`: variables of the command that are in no record, such as a proxy's password.
        Raises: InvalidValue, for what is not there; OSError.
        """
        made = StepMounts()
        for name, value in hidden.items():
            made.secrets[name] = await self._in_memory(value.encode(), {}, opened)
        for number, origin in enumerate(step.mounts):
            options = self._options(origin, parent)
            if "target" in options:
                target = absolute(options["target"], parent.state.document.config)
                options["target"] = target.rstrip("/") or "/"
            if options.get("target") == "/":
                raise InvalidValue(f"invalid mount target {options['target']!r}")
            match origin.mount.kind:
                case "bind":
                    made.mounts.append(await self._bind(origin, options, sources, opened))
                case "cache":
                    made.mounts.append(await self._cache(origin, options, sources, opened))
                case "tmpfs":
                    size = _bytes(options.get("size", ""))
                    made.mounts.append(TmpfsMount(target=options["target"], size_bytes=size))
                case "secret":
                    await self._secret(options, made, opened)
                case _:
                    await self._agent(options, number, made, opened)
        for volume in self.volumes(parent):
            if volume not in made.targets:
                made.mounts.insert(0, await self._volume(volume, parent, opened))
        return made

    def _options(self, origin: Origin, parent: Built) -> dict[str, str]:
        scope, line = self._words.scope(parent), origin.line
        return {
            name: self._words.word(scope, value, line)
            for name, value in origin.mount.options.items()
        }

    # -- files -------------------------------------------------------------------------------

    async def _view(
        self, origin: Origin, source: str, sources: Sequence[Built], opened: UndoStack
    ) -> View:
        if origin.source is not None:
            root = await self._files.opened(sources[origin.source].state, opened)
            return View(DirectoryTree(root))
        return await self._views.view(origin.context, (source,))

    async def _bind(
        self,
        origin: Origin,
        options: Mapping[str, str],
        sources: Sequence[Built],
        opened: UndoStack,
    ) -> MountSpec:
        place = await self._work.empty_directory(opened)
        source = options.get("source", "")
        async with UndoStack() as reading:
            view = await self._view(origin, source, sources, reading)
            name = await self._offload(_copied, view, _clean(source), place)
        is_read_only = options.get("readwrite") != "true"
        return _bound(posixpath.join(place, name), options["target"], is_read_only=is_read_only)

    async def _cache(
        self,
        origin: Origin,
        options: Mapping[str, str],
        sources: Sequence[Built],
        opened: UndoStack,
    ) -> MountSpec:
        source, has_origin = options.get("source", ""), origin.source is not None
        name = options.get("id") or options["target"]
        begins = sources[origin.source].key if origin.source is not None else origin.context
        wish = CacheWish(
            name=repr((name, begins, source, *_ownership(options))),
            description=f"cached mount {options['target']} with id {name!r}",
            sharing=options.get("sharing", "shared"),
            owner=_owner(options),
            mode=_mode(options, 0o755),
        )

        async def fill(path: str) -> None:
            if not has_origin and not origin.context:
                return
            async with UndoStack() as reading:
                view = await self._view(origin, source, sources, reading)
                await self._offload(_copied, view, _clean(source), path)

        holding = self._ground.caches.held(wish, fill)
        path = await holding.__aenter__()
        opened.push(holding.__aexit__, None, None, None)
        is_read_only = options.get("readwrite") == "false"
        return _bound(path, options["target"], is_read_only=is_read_only)

    async def _volume(self, volume: str, parent: Built, opened: UndoStack) -> MountSpec:
        place = await self._work.empty_directory(opened)
        async with UndoStack() as reading:
            root = await self._files.opened(parent.state, reading)
            await self._offload(_fill_volume, root, volume, place)
        return _bound(place, volume)

    # -- secrets and agents ------------------------------------------------------------------

    async def _secret(
        self, options: Mapping[str, str], made: StepMounts, opened: UndoStack
    ) -> None:
        name = options.get("id") or posixpath.basename(options.get("target", ""))
        if not name:
            raise InvalidValue("secret mount requires an id or a target")
        content = await self._ports.secrets.secret(name)
        if content is None:
            if options.get("required") == "true":
                raise InvalidValue(f"secret {name}: not found")
            return
        path = await self._in_memory(content, options, opened)
        if variable := options.get("env"):
            made.secrets[variable] = path
        if "target" in options or not variable:
            target = options.get("target") or f"{_SECRETS}/{name}"
            made.mounts.append(_bound(path, target, is_read_only=True))

    async def _in_memory(
        self, content: bytes, options: Mapping[str, str], opened: UndoStack
    ) -> str:
        place = await self._work.empty_directory(opened, self._ground.run_directory)
        path = f"{place}/secret"
        await self._offload(_write_secret, path, content, options)
        return path

    async def _agent(
        self, options: Mapping[str, str], number: int, made: StepMounts, opened: UndoStack
    ) -> None:
        name = options.get("id") or _DEFAULT_AGENT
        if not await self._ports.agents.has(name):
            if options.get("required") == "true":
                raise InvalidValue(f'no SSH key "{name}" forwarded from the client')
            return
        place = await self._work.empty_directory(opened, self._ground.run_directory)
        path = f"{place}/agent"

        async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._ports.agents.forward(name, reader, writer)
            finally:
                writer.close()

        directory = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # A socket's address has 107 bytes; how long the path is must not matter.
            server = await asyncio.start_unix_server(join, f"/proc/self/fd/{directory}/agent")
        finally:
            os.close(directory)
        opened.push(_closed, server)
        os.chown(path, *_owner(options))
        os.chmod(path, _mode(options, 0o600))
        target = options.get("target") or f"{_AGENT}.{number}"
        made.mounts.append(_bound(path, target))
        made.environment.setdefault("SSH_AUTH_SOCK", target)


def _bound(source: str, target: str, *, is_read_only: bool = False) -> BindMount:
    """A mount of what the engine has made for a step."""
    return BindMount(source=source, target=target, is_read_only=is_read_only, is_of_engine=True)


async def _closed(server: asyncio.Server) -> None:
    server.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await server.wait_closed()


def _copied(view: View, path: str, place: str) -> str:
    """Copy what is at a path into a directory; the name of a file there, or nothing."""
    _check(view, path)
    found = view.place(path)
    root = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = "" if found.is_directory else "file"
        archive = view.entries(found)
        unpack_tar(Renamed(archive, name=name), root, b"/", UnpackRules())
        if found.is_directory:
            os.chmod(place, 0o755)
    finally:
        os.close(root)
    return name


def _fill_volume(root: int, volume: str, place: str) -> None:
    """Copy what a stage has at a volume's place, with the directory's own owner and mode."""
    view, path = View(DirectoryTree(root)), _clean(volume)
    if not view.shows(path):
        os.chmod(place, 0o755)
        return
    if not view.place(path).is_directory:
        raise InvalidValue(f"cannot mount volume over existing file, file exists {volume}")
    _copied(view, path, place)
    there = open_in_root(root, path, os.O_PATH)
    try:
        state = os.fstat(there)
    finally:
        os.close(there)
    os.chown(place, state.st_uid, state.st_gid)
    os.chmod(place, stat.S_IMODE(state.st_mode))


def _digests(view: View, path: str) -> dict[str, str]:
    _check(view, path)
    return view.digests(path)


def _check(view: View, path: str) -> None:
    if not view.shows(path):
        raise InvalidValue(f'failed to compute cache key: "/{path}": not found')


def _clean(source: str) -> str:
    """A path below the root, whatever it says (`..` included)."""
    return posixpath.normpath("/" + source).lstrip("/")


def _write_secret(path: str, content: bytes, options: Mapping[str, str]) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    with open(file, "wb") as out:
        out.write(content)
    os.chown(path, *_owner(options))
    os.chmod(path, _mode(options, 0o400))


def _ownership(options: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is said of whom a cache belongs to: with another owner it is another cache."""
    return [(word, options[word]) for word in ("uid", "gid", "mode") if word in options]


def _owner(options: Mapping[str, str]) -> tuple[int, int]:
    return int(options.get("uid", "0")), int(options.get("gid", "0"))


def _mode(options: Mapping[str, str], default: int) -> int:
    text = options.get("mode")
    try:
        return int(text, 8) & 0o7777 if text else default
    except ValueError:
        raise InvalidValue(f"invalid value for mode: {text}") from None


def _bytes(text: str) -> int:
    if not text:
        return 0
    unit = {"k": 10, "m": 20, "g": 30}.get(text[-1].lower(), 0)
    return int(text[:-1] if unit else text) << unit
