"""Files of a container, in and out: `cp` both ways, and `export`."""

import asyncio
import errno
import os
import posixpath
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack

from wherry.engine.containers.views import ContainerViews, View
from wherry.engine.containers.volumes import mount_is_read_only
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import BlockingReader, BlockingWriter, OffloadPool, written_in_thread
from wherry.linux.files import open_in_root
from wherry.model.containers import Container
from wherry.model.errors import InvalidValue, StepFailed
from wherry.model.errors.containers import PathNotFound, UserNotFound
from wherry.model.files import CopyRules, PathState
from wherry.snapshots import (
    TarReader,
    UnpackRules,
    decompressed,
    directory_tar,
    entry_tar,
    tree_tar,
    unpack_tar,
)

_MOST_LINKS = 40


class ContainerFiles:
    """Looks into containers, and puts files there. Every path is the container's own."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        views: ContainerViews,
        events: EventLog,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._views = views
        self._events = events
        self._offload = offload

    async def stat(self, reference: str, path: str) -> PathState:
        """What is under a path; a link at its end is not followed.

        Raises: ContainerNotFound, PathNotFound, InvalidValue, StepFailed.
        """
        async with self._views.opened(reference) as view:
            with await self._offload(_Place.found, view.root, path, reference) as place:
                return place.state

    async def archive(
        self, reference: str, path: str
    ) -> tuple[PathState, AsyncGenerator[bytes, None]]:
        """What is under a path, and a tar of it; its names begin with the path's last part.

        Raises: as `stat`.
        """
        async with AsyncExitStack() as opening:
            view = await opening.enter_async_context(self._views.opened(reference))
            place = opening.enter_context(
                await self._offload(_Place.found, view.root, path, reference)
            )
            content = self._content(opening.pop_all(), place.pack)
        self._events.container("archive-path", view.container)
        return place.state, content

    async def export(self, reference: str) -> AsyncGenerator[bytes, None]:
        """A tar of the container's own files, without what is mounted there.

        Raises: ContainerNotFound, StepFailed.
        """
        async with AsyncExitStack() as opening:
            view = await opening.enter_async_context(
                self._views.opened(reference, has_mounts=False)
            )
            content = self._content(opening.pop_all(), lambda out: tree_tar(view.root, out))
        self._events.container("export", view.container)
        return content

    async def unpack(
        self, reference: str, path: str, archive: AsyncIterator[bytes], rules: CopyRules
    ) -> None:
        """Unpack a tar, compressed or not, into a directory of the container.

        Raises: ContainerNotFound, PathNotFound, UserNotFound, InvalidValue, ArchiveRefused.
        """
        async with self._views.opened(reference, writes=True) as view:
            reader = BlockingReader(archive, asyncio.get_running_loop())
            try:
                await self._offload(_unpack, view, path, reference, reader, rules)
            finally:
                await reader.abandon()
        self._events.container("extract-to-dir", view.container)

    async def _content(
        self, opened: AsyncExitStack, produce: Callable[[BlockingWriter], object]
    ) -> AsyncGenerator[bytes, None]:
        async with opened:
            async for piece in written_in_thread(self._offload, produce):
                yield piece


# -- by descriptor ---------------------------------------------------------------------------


class _Place:
    """What is under a path, looked up once: a container may move things at any moment."""

    def __init__(self, parent: int, name: str, state: PathState) -> None:
        """`parent` is closed with the place; without a name it is the thing itself."""
        self._parent = parent
        self._name = name
        self.state = state

    @staticmethod
    def found(root: int, path: str, reference: str) -> "_Place":
        """Raises: PathNotFound, InvalidValue."""
        directory, name = _split(path)
        try:
            parent = open_in_root(root, directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise _explained(error, path, reference) from error
        try:
            state = os.stat(name or ".", dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            os.close(parent)
            raise _explained(error, path, reference) from error
        return _Place(
            parent,
            name,
            PathState(
                name=_base(path),
                size_bytes=state.st_size,
                mode=state.st_mode,
                modified_at_ns=state.st_mtime_ns,
                link_target=_link_target(root, path) if stat.S_ISLNK(state.st_mode) else "",
            ),
        )

    def __enter__(self) -> "_Place":
        return self

    def __exit__(self, *_failure: object) -> None:
        os.close(self._parent)

    def pack(self, out: BlockingWriter) -> None:
        """Write it as a tar whose names begin with the last part of the path. Raises: OSError."""
        shown_as = os.fsencode(self.state.name)
        if self._name:
            entry_tar(self._parent, os.fsencode(self._name), shown_as, out)
        else:
            directory_tar(self._parent, shown_as, out)


def _split(path: str) -> tuple[str, str]:
    """A path's directory and last part; the part is empty where a link at the end counts."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if clean == "/" or path.endswith(("/", "/.")):
        return clean, ""
    return posixpath.split(clean)


def _base(path: str) -> str:
    """The last part of a path, as Go's filepath.Base gives it."""
    clean = path.rstrip("/")
    return posixpath.basename(clean) if clean else "/"


def _link_target(root: int, path: str) -> str:
    """Where a link leads, link after link, whether or not there is something."""
    place = posixpath.normpath("/" + path.lstrip("/"))
    for _hop in range(_MOST_LINKS):
        directory, name = posixpath.split(place)
        try:
            parent = open_in_root(root, directory, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return place
        try:
            # The tree is detached, so its names begin at its own root.
            above = os.readlink(f"/proc/self/fd/{parent}")
            link = os.readlink(name, dir_fd=parent)
        except OSError:
            return posixpath.join(above, name)
        finally:
            os.close(parent)
        place = posixpath.normpath(posixpath.join(above, link))
        place = "/" + place.lstrip("/")
    return place


def _unpack(
    view: View, path: str, reference: str, archive: BlockingReader, rules: CopyRules
) -> None:

    clean = posixpath.normpath("/" + path.lstrip("/"))
    try:
        place = open_in_root(view.root, clean, os.O_PATH)
    except OSError as error:
        raise _explained(error, path, reference) from error
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            raise InvalidValue("extraction point is not a directory")
        resolved = os.readlink(f"/proc/self/fd/{place}")
    finally:
        os.close(place)
    _refuse_read_only(view.container, resolved)
    owner = _user_of(view) if rules.gives_to_user else None
    unpacking = UnpackRules(owner=owner, keeps_kinds=rules.keeps_kinds, ids=view.ids)
    try:
        unpack_tar(
            TarReader(decompressed(archive)[1]), view.root, os.fsencode(resolved), unpacking
        )
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise PathNotFound(reference, path) from error
        raise StepFailed(f"unpack into {path}", error.strerror or str(error)) from error


def _refuse_read_only(container: Container, path: str) -> None:
    """Raises: InvalidValue in Docker's words."""
    for mount in container.spec.mounts:
        place = posixpath.normpath(mount.target)
        if path == place or path.startswith(f"{place}/"):
            if mount_is_read_only(mount):
                raise InvalidValue("mounted volume is marked read-only")
            return
    if container.spec.is_rootfs_read_only:
        raise InvalidValue("container rootfs is marked read-only")


def _user_of(view: View) -> tuple[int, int] | None:
    """The numbers of the container's user, by its own account files. Raises: UserNotFound."""
    from wherry.runtime import accounts

    if not view.container.spec.user:
        return None
    try:
        identity = accounts.resolve(view.root, view.container.spec.user)
    except accounts.AccountNotFound as error:
        raise UserNotFound(error.reference, is_group=error.is_group) from error
    return identity.uid, identity.gid


def _explained(error: OSError, path: str, reference: str) -> PathNotFound | InvalidValue:
    if error.errno == errno.ENOENT:
        return PathNotFound(reference, path)
    problem = (error.strerror or str(error)).lower()
    return InvalidValue(f"{path}: {problem}")
