"""Contexts that stay with the client: of a directory, only what a step needs travels."""

import os
import posixpath
from collections.abc import Sequence

from wherry.builder import dockerfile as language
from wherry.builder.sources.client_trees import ClientTree
from wherry.builder.sources.contexts import content_of
from wherry.builder.sources.directory_trees import DirectoryTree
from wherry.builder.sources.kept_contexts import KeptContexts, open_kept
from wherry.builder.sources.offers import ClientDirectory, Sending
from wherry.builder.sources.ports import DockerfileText
from wherry.builder.sources.trees import Tree
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack
from wherry.kit.path_patterns import read_ignore
from wherry.kit.random_ids import new_id
from wherry.kit.values import dataclass
from wherry.linux.files import remove_tree
from wherry.model.errors import InvalidValue

_LARGEST_IGNORE = 4 << 20
_AT_ONCE = 64
"""Contents that are on their way at the same time."""


@dataclass(frozen=True, slots=True)
class ClientStorage:
    """Where what clients send is put."""

    staging: str
    """For the trees of builds that are under way."""
    kept: KeptContexts
    """For what may be of use again."""
    offload: OffloadPool


class ClientContext:
    """One context of one build; its trees are gone with the build."""

    def __init__(
        self,
        *,
        files: ClientDirectory,
        dockerfiles: ClientDirectory,
        storage: ClientStorage,
        opened: UndoStack,
    ) -> None:
        self._files = files
        self._dockerfiles = dockerfiles
        self._storage = storage
        self._opened = opened
        self._trees: dict[tuple[str, ...], Tree] = {}
        self._asking = KeyedLock()

    async def dockerfile(self, path: str) -> DockerfileText:
        """Raises: InvalidValue, when it is not there."""
        clean = posixpath.normpath("/" + path).lstrip("/")
        beside = f"{clean}.dockerignore"
        tree = await self._received(self._dockerfiles, (clean, beside), ())
        content = await self._content(tree, clean, language.LARGEST_FILE + 1)
        if content is None:
            raise InvalidValue(
                f"failed to read dockerfile: open {clean}: no such file or directory"
            )
        ignore = await self._content(tree, beside, _LARGEST_IGNORE)
        if ignore is None:
            ignore = await self.ignore()
        return DockerfileText(content=content, ignore=ignore)

    async def ignore(self) -> bytes:
        """`.dockerignore` at the top."""
        tree = await self._received(self._files, (".dockerignore",), ())
        return await self._content(tree, ".dockerignore", _LARGEST_IGNORE) or b""

    async def files(self, sources: Sequence[str], ignore: bytes) -> Tree:
        """What some sources stand for; sent once, whoever asks."""
        paths = {posixpath.normpath("/" + each).lstrip("/") for each in sources}
        wanted = () if "" in paths else tuple(sorted(paths))
        async with self._asking.held(wanted):
            if wanted not in self._trees:
                self._trees[wanted] = await self._received(
                    self._files, wanted, read_ignore(ignore)
                )
            return self._trees[wanted]

    async def _content(self, tree: Tree, path: str, most: int) -> bytes | None:
        return await self._storage.offload(content_of, tree, path, most)

    async def _received(
        self, directory: ClientDirectory, paths: Sequence[str], ignore: Sequence[str]
    ) -> Tree:
        offload = self._storage.offload
        place = await self._place()
        root = await offload(_made, f"{place}/tree")
        self._opened.push(offload, os.close, root)
        async with UndoStack() as undo:
            kept = await self._kept(directory, place, undo)
            tree = ClientTree(root, kept)
            undo.push(offload, tree.close)
            async with directory.sending(paths, ignore) as sending:
                wanted: list[int] = []
                async for files in sending.files():
                    wanted += await offload(tree.add, files)
                await self._fetch(sending, tree, wanted)
                await offload(tree.finish)
        return DirectoryTree(root)

    async def _kept(self, directory: ClientDirectory, place: str, undo: UndoStack) -> int:
        """Where contents are kept; for the build alone, where nobody can tell whose they are."""
        if directory.key:
            return await undo.enter(self._storage.kept.held(directory.key, directory.name))
        kept = await self._storage.offload(open_kept, f"{place}/kept", directory.name)
        undo.push(self._storage.offload, os.close, kept)
        return kept

    async def _fetch(self, sending: Sending, tree: ClientTree, wanted: Sequence[int]) -> None:
        if not wanted:
            return
        asked = min(_AT_ONCE, len(wanted))
        await sending.ask(wanted[:asked])
        missing = len(wanted)
        async for pieces in sending.contents():
            whole = await self._storage.offload(tree.write, pieces)
            missing -= whole
            if not missing:
                return
            if whole and asked < len(wanted):
                await sending.ask(wanted[asked : asked + whole])
                asked += whole

    async def _place(self) -> str:
        """A directory that is gone with the build."""
        offload, staging = self._storage.offload, self._storage.staging
        name = f"client-{new_id()}"
        self._opened.push(offload, _remove, staging, name)
        await offload(os.makedirs, f"{staging}/{name}", 0o700)
        return f"{staging}/{name}"


def _made(path: str) -> int:
    os.mkdir(path, 0o755)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _remove(directory: str, name: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(descriptor, name)
    finally:
        os.close(descriptor)
