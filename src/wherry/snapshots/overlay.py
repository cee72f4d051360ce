"""The overlay driver: committed layers and writable snapshots as directories of one file system.

    overlay2/12/diff           a committed layer, named by a short number
    overlay2/<key>/diff, work  a writable snapshot: overlayfs's upper and work directories
    overlay2/<key>/lower       a link that says what it stands on: `../12`

Nothing is mounted here: the runtime mounts a root inside the container's own namespace, from
the instruction that `rootfs` gives. Making a snapshot is three directories and a link, because
it is part of each start; no row is written and nothing is synced for it.

Where the file system keeps quotas of projects, a snapshot may be bounded: its directory is a
project then, and what a container writes is counted there (`tree_bounds`).
"""

import contextlib
import os
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import BinaryIO

from wherry.kit.byte_sizes import parse_size
from wherry.kit.values import dataclass
from wherry.linux.files import mark_top_directory, open_directory
from wherry.model.errors import InvalidValue, StateUnreadable, StepFailed
from wherry.model.files import Change
from wherry.model.ids import ChainId, DiffId, SnapshotKey
from wherry.oci.runtime_spec import RootfsMount
from wherry.operations.files.layers import DiffLayer, PrepareSnapshot, RemoveSnapshot
from wherry.operations.files.tree_bounds import (
    bound_tree,
    bounding_shell,
    has_projects,
    unbound_tree,
)
from wherry.operations.plan import Evidence, Journal
from wherry.snapshots.adoption import leave_what_was_packed
from wherry.snapshots.apply import LayerCounts
from wherry.snapshots.diff import Writable, diff_tar, snapshot_tar
from wherry.snapshots.host_trees import file_sizes, filesystem_type
from wherry.snapshots.layer_directories import has_only_files, is_layer_name
from wherry.snapshots.layer_store import LayerStore
from wherry.snapshots.layer_table import MIGRATIONS, CommittedLayer
from wherry.snapshots.performing import perform
from wherry.snapshots.streams import HashingWriter
from wherry.snapshots.tar_reader import Readable
from wherry.store import Database

_NOTHING = object()
_NO_PROJECTS = (
    "error initializing graphdriver: Storage option overlay2.size not supported. Filesystem does "
    "not support Project Quota"
)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """A tar that was written of a tree."""

    diff_id: DiffId
    counts: LayerCounts


class Snapshots:
    """Snapshots on overlayfs."""

    name = "overlay2"
    filesystem = "overlay"
    """What stacks the directories: the type of `rootfs`."""
    MIGRATIONS = MIGRATIONS

    def __init__(self, data_root: str, database: Database, *, bound_bytes: int = 0) -> None:
        """Take over `overlay2` of the data root (made if missing) and the rows of its layers.

        `bound_bytes` is what a snapshot may hold that asks for no bound; 0: as much as there is.
        Raises: StateUnreadable where it can't be kept.
        """
        self.directory = os.path.join(data_root, self.name)
        os.makedirs(self.directory, mode=0o710, exist_ok=True)
        self._bound_bytes, self._has_projects = bound_bytes, has_projects(self.directory)
        if bound_bytes and not self._has_projects:
            raise StateUnreadable(data_root, _NO_PROJECTS)
        with open_directory(self.directory) as directory:
            # For each file that is made, ext4 looks at all inodes of its block group that were
            # freed in the last minutes (fs/ext4/ialloc.c, recently_deleted). A snapshot in a group
            # of its own doesn't pay for what others remove.
            mark_top_directory(directory)
        self._damages = database.damages
        self.layers = self._open_layers(database)
        """The read-only layers that snapshots stand on."""
        self._active: dict[SnapshotKey, ChainId | None] = {}
        self._read_directory()

    # -- writable snapshots ------------------------------------------------------------------

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse options of a writable snapshot (`--storage-opt`) that can't be kept.

        Raises: InvalidValue, in Docker's words.
        """
        for name in options:
            if name.lower() != "size":
                raise InvalidValue(f"Unknown option {name}")
        if options and not self._has_projects:
            raise InvalidValue(
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
            )
        self._size_of(options)

    def prepare(
        self,
        key: SnapshotKey,
        parent: ChainId | None,
        *,
        options: Mapping[str, str] | None = None,
        why: str = "each container writes apart",
    ) -> Journal:
        """Make a writable snapshot on a stack of layers; returns what was done.

        Options are those that `check_options` passed.
        Raises: StateUnreadable when the stack is not here; StepFailed.
        """
        directory, wishes = self._directory_of(key), options or {}
        by_hand = self._by_hand(directory, parent, wishes)
        return self._made(key, parent, partial(self._fill, options=wishes), by_hand, why)

    def view(self, key: SnapshotKey, parent: ChainId | None, *, why: str) -> tuple[str, ...]:
        """A snapshot that is only read; the directories of its files, topmost first.

        Several are for overlayfs to stack. It stays, and is removed, as one that is written.
        Raises: as `prepare`.
        """
        self.prepare(key, parent, why=why)
        return self._stacked(key)

    def remove(self, key: SnapshotKey) -> None:
        """Remove a writable snapshot; one that is not there is no error. Raises: StepFailed."""
        directory = self._directory_of(key)

        def remove() -> Evidence:
            return {"removed": self.layers.directories.remove_entry(key)}

        perform(RemoveSnapshot(why="its container is removed", directory=directory, work=remove))
        self._active.pop(key, None)

    def rootfs(self, key: SnapshotKey) -> RootfsMount:
        """How to mount a snapshot; what stands on nothing is its own directory.

        Raises: StateUnreadable when it is not here.
        """
        lower = self.layers.lower_names(self._parent_of(key))
        upper = f"{self.directory}/{key}/diff"
        if not lower:
            return RootfsMount(type="bind", directory=self.directory, source=upper)
        return RootfsMount(
            type=self.filesystem,
            directory=self.directory,
            lower=lower,
            upper=upper,
            work=f"{self.directory}/{key}/work",
        )

    def graph_data(self, subject: SnapshotKey | ChainId) -> Mapping[str, str]:
        """Docker's `GraphDriver.Data` of a snapshot or of a stack of layers."""
        chain = self.layers.get(ChainId(subject))
        if chain is not None:
            lowers = self.layers.lower_names(chain.parent)
            own = f"{self.directory}/{chain.number}"
        else:
            lowers = self.layers.lower_names(self._parent_of(SnapshotKey(subject)))
            own = f"{self.directory}/{subject}"
        data = {
            "MergedDir": f"{own}/merged",
            "UpperDir": f"{own}/diff",
            "WorkDir": f"{own}/work",
        }
        if lowers:
            data["LowerDir"] = ":".join(f"{self.directory}/{name}" for name in lowers)
        return data

    def usage(self, key: SnapshotKey) -> int:
        """Bytes of the files that were written to a snapshot; each inode counts once."""
        return sum(file_sizes(f"{self.directory}/{key}/diff"))

    def keys(self) -> frozenset[SnapshotKey]:
        """The writable snapshots that exist."""
        return frozenset(self._active)

    def status(self) -> tuple[tuple[str, str], ...]:
        """What `docker info` tells of the storage driver."""
        return (
            ("Backing Filesystem", filesystem_type(self.directory)),
            ("Supports d_type", "true"),
            ("Using metacopy", "false"),
            ("Native Overlay Diff", "true"),
            ("userxattr", "false"),
        )

    # -- layers ------------------------------------------------------------------------------

    def apply_layer(
        self, parent: ChainId | None, packed: Readable, *, diff_id: DiffId | None = None
    ) -> CommittedLayer:
        """Unpack a layer (compressed or not) on a stack and commit it.

        Raises: ArchiveRefused; DigestMismatch; StepFailed. Nothing is left behind then.
        """
        return self.layers.apply(parent, packed, diff_id=diff_id)

    def become_layer(
        self, key: SnapshotKey, packed: PackedLayer, content: Callable[[], BinaryIO]
    ) -> CommittedLayer:
        """Commit what was packed of a snapshot; its owner only removes it afterwards.

        Here its directory becomes the layer's. A driver that keeps it otherwise unpacks the tar.
        Raises: ArchiveRefused; DigestMismatch; StateUnreadable; StepFailed.
        """
        parent, upper = self._parent_of(key), f"{self.directory}/{key}/diff"
        size_bytes = packed.counts.content_bytes
        if packed.counts.left_out:
            try:
                with open_directory(upper) as root:
                    size_bytes = leave_what_was_packed(root)
            except OSError as error:
                raise StepFailed("make a snapshot a layer", error.strerror or "") from error
        return self.layers.adopt(parent, upper, packed.diff_id, size_bytes)

    def diff_layer(self, subject: SnapshotKey | ChainId, out: Writable) -> PackedLayer:
        """Write a snapshot's changes, or a committed layer, as a tar.

        Raises: StateUnreadable when it is not here; StepFailed.
        """
        layer = self.layers.get(ChainId(subject))
        if layer is None:
            self._parent_of(SnapshotKey(subject))
        name = subject if layer is None else str(layer.number)

        def pack(sink: Writable) -> LayerCounts:
            with open_directory(f"{self.directory}/{name}/diff") as root:
                # A container may be writing to its snapshot; nobody to a layer.
                return (snapshot_tar if layer is None else diff_tar)(root, sink)

        return self._packed(name, out, pack)

    def changes(self, key: SnapshotKey) -> list[Change]:
        """What was changed in a snapshot of what it stands on, in order of the names.

        Raises: StateUnreadable when it is not here; OSError.
        """
        from wherry.snapshots.changes import changes_of

        lowers = self.layers.lower_names(self._parent_of(key))
        with contextlib.ExitStack() as opened:
            upper = opened.enter_context(open_directory(f"{self.directory}/{key}/diff"))
            below = [
                opened.enter_context(open_directory(os.path.join(self.directory, each)))
                for each in lowers
            ]
            return changes_of(upper, below)

    def remove_unneeded_layers(self, needed: Collection[ChainId]) -> tuple[ChainId, ...]:
        """Remove every layer that is neither in these stacks nor below a writable snapshot.

        Returns what was removed, children first. Raises: StepFailed.
        """
        with self.layers.lock:
            in_use = {chain for chain in self._active.values() if chain is not None}
            gone = self.layers.forget_unneeded(in_use | set(needed))
        self.layers.remove_directories(gone)
        return tuple(each.chain_id for each in gone)

    def expect(self, key: SnapshotKey, parent: ChainId | None) -> None:
        """At boot: what a snapshot stands on, by those who know; what says otherwise is mended."""
        if self._active.get(key, _NOTHING) == parent:
            return
        what, directory = f"snapshot {key}", self._directory_of(key)
        if not os.path.isdir(f"{directory}/diff"):
            self._damages.note(what, "its files are gone", "only removing it is of use")
            return
        lower = f"{directory}/lower"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lower)
        if parent is not None:
            os.symlink(f"../{self.layers.require(parent).number}", lower)
        self._active[key] = parent
        self._damages.note(what, f"{lower} led elsewhere", "it leads to its image's layers again")

    def sweep(self, living: Collection[SnapshotKey]) -> tuple[str, ...]:
        """At boot: remove snapshots of no living container, and layers that were never committed.

        Returns the names of what was removed.
        """
        strangers = [
            name
            for name in os.listdir(self.directory)
            if name not in living and not is_layer_name(name)
        ]
        for name in strangers:
            self.layers.directories.remove_entry(name)
            self._active.pop(SnapshotKey(name), None)
        return (*strangers, *self.layers.remove_uncommitted())

    # -- inside ------------------------------------------------------------------------------

    def _open_layers(self, database: Database) -> LayerStore:
        release = _released if self._has_projects else has_only_files
        return LayerStore(self.directory, database, release=release)

    def _stacked(self, key: SnapshotKey) -> tuple[str, ...]:
        """An own directory and those of the layers below."""
        below = self.layers.lower_names(self._parent_of(key))
        return tuple(f"{self.directory}/{name}" for name in (f"{key}/diff", *below))

    def _made(
        self,
        key: SnapshotKey,
        parent: ChainId | None,
        fill: Callable[[str, ChainId | None], None],
        by_hand: str,
        why: str,
    ) -> Journal:
        directory = self._directory_of(key)
        lower = self._claim(key, parent)

        def make() -> Evidence:
            os.mkdir(directory, 0o710)
            if lower:
                os.symlink(f"../{lower}", f"{directory}/lower")
            fill(directory, parent)
            return {"directory": directory}

        operation = PrepareSnapshot(
            why=why, directory=directory, lower=lower, by_hand=by_hand, work=make
        )
        try:
            return perform(operation)
        except StepFailed:
            self.remove(key)
            raise

    def _fill(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> None:
        """Make what a new snapshot needs in its directory. Raises: OSError; StepFailed."""
        if size_bytes := self._size_of(options):
            bound_tree(directory, size_bytes)
        os.mkdir(f"{directory}/diff", 0o700)
        self._dress_root(parent, f"{directory}/diff")
        os.mkdir(f"{directory}/work", 0o700)

    def _by_hand(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> str:
        """The shell's words for `_fill`; empty where the operation knows them."""
        if size_bytes := self._size_of(options):
            bounding = bounding_shell(directory, size_bytes)
            return f"mkdir -p {directory} && {bounding} && mkdir {directory}/diff {directory}/work"
        return ""

    def _packed(
        self, name: str, out: Writable, pack: Callable[[Writable], LayerCounts]
    ) -> PackedLayer:
        """What `pack` writes of a directory of ours. Raises: StepFailed."""
        hashing, counted = HashingWriter(out), list[LayerCounts]()

        def work() -> Evidence:
            counts = pack(hashing)
            counted.append(counts)
            return {"entries": counts.entries, "bytes": counts.content_bytes}

        why = "the layer is written as a tar"
        perform(DiffLayer(why=why, directory=os.path.join(self.directory, name), work=work))
        return PackedLayer(hashing.digest(), counted[0])

    def _size_of(self, options: Mapping[str, str]) -> int:
        """The bytes that a snapshot may hold; 0 for no bound. Raises: InvalidValue."""
        for value in options.values():
            try:
                return parse_size(value)
            except ValueError as error:
                raise InvalidValue(str(error)) from error
        return self._bound_bytes

    def _dress_root(self, parent: ChainId | None, path: str) -> None:
        """Let a snapshot's root directory look as its stack's does."""
        root = self.layers.root_state(parent)
        if root.uid or root.gid:
            os.chown(path, root.uid, root.gid)
        # Not by mkdir: it leaves out the bits of our umask, and setgid or sticky ones.
        os.chmod(path, root.mode)

    def _claim(self, key: SnapshotKey, parent: ChainId | None) -> str:
        """From here on the stack is in use, and nobody removes it; its topmost directory.

        Raises: StateUnreadable.
        """
        with self.layers.lock:
            if key in self._active:
                raise StateUnreadable(self._directory_of(key), "there is a snapshot of this name")
            lower = str(self.layers.require(parent).number) if parent is not None else ""
            self._active[key] = parent
        return lower

    def _read_directory(self) -> None:
        """Learn which snapshots there are, and what each one stands on."""
        for name in os.listdir(self.directory):
            if is_layer_name(name):
                continue
            try:
                link = os.readlink(f"{self.directory}/{name}/lower")
            except OSError:
                self._active[SnapshotKey(name)] = None
                continue
            # What stands on a layer that is lost is no snapshot any more: `rootfs` says so.
            with contextlib.suppress(ValueError):
                layer = self.layers.numbered(int(os.path.basename(link)))
                if layer is not None:
                    self._active[SnapshotKey(name)] = layer.chain_id

    def _directory_of(self, key: SnapshotKey) -> str:
        if not _KEY.fullmatch(key) or is_layer_name(key):
            raise ValueError(f"not a snapshot key: {key!r}")
        return f"{self.directory}/{key}"

    def _parent_of(self, key: SnapshotKey) -> ChainId | None:
        try:
            return self._active[key]
        except KeyError:
            raise StateUnreadable("snapshots", f"no snapshot {key}") from None


def _released(path: str) -> int:
    """The limit of an entry goes with it."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        unbound_tree(path)
    return 0
