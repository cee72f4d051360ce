"""What comes from elsewhere: ADD of URLs and repositories, and contexts that are one.

Each is fetched once in a build, when a step that needs it is named: what it holds decides whether
the step was done before. A download is a file that only root reads, with the time that the server
tells.
"""

import email.utils
import hashlib
import os
import posixpath
import tempfile
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

from wherry.builder.sources.contexts import TreeContext
from wherry.builder.sources.directory_trees import DirectoryTree
from wherry.builder.sources.git_sources import GitPlace, clone, git_place
from wherry.builder.sources.tar_trees import TarTree
from wherry.builder.sources.trees import Tree, View
from wherry.builder.work_places import WorkPlaces
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack
from wherry.kit.path_patterns import Ignore
from wherry.kit.urls import without_credentials
from wherry.kit.values import dataclass
from wherry.linux.files import open_in_root
from wherry.model.errors import InvalidValue
from wherry.registry import cause_of
from wherry.snapshots import Compression, compression_of, decompressed

_SCHEMES = ("http://", "https://")
_PIECE_BYTES = 1 << 20
_PATIENCE_S = 60
"""How long a server may say nothing."""
_HEAD_BYTES = 512
_TAR_AT, _TAR = 257, b"ustar"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a URL led to."""

    view: View
    path: str
    """Of the file in the view; empty for a whole tree."""
    digest: str
    """Of a file's bytes; a repository's commit."""
    host_path: str


def is_remote(source: str) -> bool:
    """Whether ADD fetches a source. Raises: InvalidValue for a repository that can't be."""
    return source.startswith(_SCHEMES) or git_place(source) is not None


class RemoteSources:
    """Everything that one build fetches; it goes with the build."""

    def __init__(self, work: WorkPlaces, offload: OffloadPool, opened: UndoStack) -> None:
        self._work = work
        self._offload = offload
        self._opened = opened
        self._fetched: dict[tuple[str, bool], Fetched] = {}
        self._fetching = KeyedLock()

    async def fetched(
        self, source: str, *, checksum: str = "", keeps_git_dir: bool = False
    ) -> Fetched:
        """Fetch, or take what was fetched. Raises: InvalidValue."""
        key = (source, keeps_git_dir)
        async with self._fetching.held(key):
            if key not in self._fetched:
                place = git_place(source)
                self._fetched[key] = (
                    await self._downloaded(source)
                    if place is None
                    else await self._cloned(place, keeps_git_dir=keeps_git_dir)
                )
        found = self._fetched[key]
        if checksum and found.digest != checksum and not _begins(found.digest, checksum):
            raise InvalidValue(f"digest mismatch {found.digest}: {checksum}")
        return found

    async def context(self, source: str) -> TreeContext:
        """A context that is a repository, a tar, or a Dockerfile alone. Raises: InvalidValue."""
        if not is_remote(source):
            raise InvalidValue(f"invalid remote context: {without_credentials(source)!r}")
        found = await self.fetched(source)
        if not found.path:
            return TreeContext(found.view.tree, self._offload)
        return TreeContext(await self._unpacked(found), self._offload)

    # -- downloads ---------------------------------------------------------------------------

    async def _downloaded(self, source: str) -> Fetched:
        place = await self._work.empty_directory(self._opened)
        name = posixpath.basename(unquote(urlsplit(source).path)) or "download"
        if name in (".", ".."):
            raise InvalidValue(
                f"cannot determine filename from url: {without_credentials(source)}"
            )
        digest, moment_s = await _download(source, f"{place}/{name}")
        os.utime(f"{place}/{name}", (moment_s, moment_s))
        root = await self._root(place)
        return Fetched(View(DirectoryTree(root)), name, f"sha256:{digest}", f"{place}/{name}")

    async def _unpacked(self, found: Fetched) -> Tree:
        """The tree of a tar; of any other file, a tree with it alone as `Dockerfile`."""

        def open_tar() -> TarTree | None:
            with open(found.host_path, "rb") as file:
                head = file.read(_HEAD_BYTES)
                file.seek(0)
                is_packed = compression_of(head) is not Compression.NONE
                if not is_packed and head[_TAR_AT : _TAR_AT + len(_TAR)] != _TAR:
                    return None
                return TarTree(decompressed(file)[1], tempfile.TemporaryFile(dir=place))

        place = os.path.dirname(found.host_path)
        tree = await self._offload(open_tar)
        if tree is not None:
            self._opened.push(self._offload, tree.close)
            return tree
        await self._offload(os.rename, found.host_path, f"{place}/Dockerfile")
        return found.view.tree

    async def _root(self, place: str) -> int:
        root = await self._offload(os.open, place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._opened.push(self._offload, os.close, root)
        return root

    # -- repositories ------------------------------------------------------------------------

    async def _cloned(self, place: GitPlace, *, keeps_git_dir: bool) -> Fetched:
        directory = await self._work.empty_directory(self._opened)
        commit = await clone(place, directory)
        root = await self._root(directory)
        if place.directory:
            try:
                root = open_in_root(root, place.directory, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                raise InvalidValue(
                    f"{place.directory!r} is no directory of the repository"
                ) from None
            self._opened.push(self._offload, os.close, root)
        hidden = () if keeps_git_dir else (".git",)
        return Fetched(View(DirectoryTree(root), Ignore(hidden)), "", commit, directory)


def _begins(digest: str, checksum: str) -> bool:
    """A commit may be given by its beginning."""
    return not digest.startswith("sha256:") and len(checksum) >= 7 and digest.startswith(checksum)


async def _download(source: str, path: str) -> tuple[str, float]:
    """Write what a URL gives; its SHA-256 and its time. Raises: InvalidValue."""
    import aiohttp

    shown = without_credentials(source)
    patience = aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE_S, sock_read=_PATIENCE_S)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=patience, trust_env=True, auto_decompress=False
            ) as session,
            session.get(source) as answer,
        ):
            if answer.status != 200:
                raise InvalidValue(
                    f"failed to GET {shown} with status {answer.status} {answer.reason}"
                )
            digest = await _written(answer.content.iter_chunked(_PIECE_BYTES), path)
            told = answer.headers.get("Last-Modified", "")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise InvalidValue(f'Get "{shown}": {cause_of(source, error)}') from error
    try:
        return digest, email.utils.parsedate_to_datetime(told).timestamp()
    except ValueError:
        return digest, 0


async def _written(pieces: AsyncIterator[bytes], path: str) -> str:
    digest = hashlib.sha256()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        async for piece in pieces:
            digest.update(piece)
            while piece:
                piece = piece[os.write(file, piece) :]
    finally:
        os.close(file)
    return digest.hexdigest()
