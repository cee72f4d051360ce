"""Contexts: where COPY and ADD find what has no origin, and where the Dockerfile is."""

import asyncio
import posixpath
import tempfile
from collections.abc import AsyncIterator, Sequence

from wherry.builder import dockerfile as language
from wherry.builder.sources.ports import BuildPorts, ContextFiles, DockerfileText
from wherry.builder.sources.tar_trees import TarTree
from wherry.builder.sources.trees import Tree, View
from wherry.kit.aio import BlockingReader, OffloadPool, UndoStack
from wherry.kit.path_patterns import BadPattern, Ignore, read_ignore
from wherry.model.errors import InvalidValue
from wherry.snapshots import REGULAR, decompressed

_LARGEST_IGNORE = 4 << 20


class TreeContext:
    """A context whose files are all here."""

    def __init__(self, tree: Tree, offload: OffloadPool) -> None:
        self._tree = tree
        self._offload = offload

    @property
    def tree(self) -> Tree:
        """All files."""
        return self._tree

    async def dockerfile(self, path: str) -> DockerfileText:
        """Raises: InvalidValue, when it is not there."""
        clean = posixpath.normpath("/" + path).lstrip("/")
        content = await self._content(clean, language.LARGEST_FILE + 1)
        if content is None:
            raise InvalidValue(f"Cannot locate specified Dockerfile: {path}")
        if not content.strip():
            raise InvalidValue(f"the Dockerfile ({path}) cannot be empty")
        ignore = await self._content(f"{clean}.dockerignore", _LARGEST_IGNORE)
        return DockerfileText(
            content=content, ignore=await self.ignore() if ignore is None else ignore
        )

    async def ignore(self) -> bytes:
        """`.dockerignore` at the top."""
        return await self._content(".dockerignore", _LARGEST_IGNORE) or b""

    async def files(self, sources: Sequence[str], ignore: bytes) -> Tree:
        """All of them, whatever is asked for."""
        return self._tree

    async def _content(self, path: str, most: int) -> bytes | None:
        return await self._offload(content_of, self._tree, path, most)


def content_of(tree: Tree, path: str, most: int) -> bytes | None:
    """The first bytes of a regular file; None where there is none."""
    place = tree.lookup(path)
    if place is None or place.is_directory:
        return None
    archive = tree.entries(place)
    for entry in archive:
        if entry.kind != REGULAR:
            return None
        pieces, left = [], most
        while archive.remaining and left:
            piece = archive.read_content(left)
            pieces.append(bytes(piece))
            left -= len(piece)
        return b"".join(pieces)
    return None


async def received(
    pieces: AsyncIterator[bytes], staging: str, offload: OffloadPool, opened: UndoStack
) -> TreeContext:
    """A context that comes as a tar, compressed or not; its bytes go with the build.

    Raises: ArchiveRefused.
    """
    reader = BlockingReader(pieces, asyncio.get_running_loop())

    def receive() -> TarTree:
        spool = tempfile.TemporaryFile(dir=staging, buffering=1 << 20)  # noqa: SIM115
        try:
            tree = TarTree(decompressed(reader)[1], spool)
            while reader.read(1 << 20):
                pass
        except BaseException:
            spool.close()
            raise
        return tree

    try:
        tree = await offload(receive)
    finally:
        await reader.abandon()
    opened.push(offload, tree.close)
    return TreeContext(tree, offload)


class Views:
    """The contexts of one build, each seen through its own patterns."""

    def __init__(self, ports: BuildPorts, ignore: bytes) -> None:
        """`ignore`: the patterns of the main context. Raises: InvalidValue."""
        self._ports = ports
        self._ignores = {"": (ignore, read_patterns(ignore))}

    @property
    def ignore(self) -> Ignore:
        """What is left out of the main context."""
        return self._ignores[""][1]

    async def view(self, context: str, sources: Sequence[str]) -> View:
        """What steps see of a context; `""` names the main one. Raises: as the context does."""
        files = self._ports.context if not context else self._ports.contexts[context]
        assert not isinstance(files, str)
        text, patterns = await self._patterns(context, files)
        return View(await files.files(sources, text), patterns)

    async def _patterns(self, context: str, files: ContextFiles) -> tuple[bytes, Ignore]:
        if context not in self._ignores:
            text = await files.ignore()
            self._ignores[context] = (text, read_patterns(text))
        return self._ignores[context]


def read_patterns(text: bytes) -> Ignore:
    """The patterns of a `.dockerignore`. Raises: InvalidValue."""
    try:
        return Ignore(read_ignore(text))
    except BadPattern as problem:
        raise InvalidValue(str(problem)) from None
