"""The overlay driver: committed layers and writable snapshots as directories of one file system.

    overlay2/12/diff           a committed layer, named by a short number
    overlay2/<key>/diff, work  a writable snapshot: overlayfs's upper and work directories
    overlay2/<key>/lower       a link that says what it stands on: `../12`

Nothing is mounted here: the runtime mounts a root inside the container's own namespace, from
the instruction that `rootfs` gives. Making a snapshot is three directories and a link, because
it is part of each start; committing a layer syncs the file system before its row is written.

Lock order: this class's lock, then the database's. Preparing a snapshot takes neither.
"""

import contextlib
import os
import re
import stat
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from wherry.linux.files import remove_tree, syncfs
from wherry.model.errors import ArchiveRefused, DigestMismatch, StateUnreadable, StepFailed
from wherry.model.ids import ChainId, DiffId, SnapshotKey
from wherry.oci.runtime_spec import RootfsMount
from wherry.operations.layers import (
    ApplyLayer,
    DiffLayer,
    PrepareSnapshot,
    RemoveLayer,
    RemoveSnapshot,
)
from wherry.operations.plan import Evidence, Hands, Journal, Operation, OperationFailed, execute
from wherry.snapshots.apply import LayerCounts, apply_tar
from wherry.snapshots.compression import decompressed
from wherry.snapshots.diff import Writable, diff_tar
from wherry.snapshots.host_trees import file_sizes, filesystem_type, open_directory
from wherry.snapshots.layer_table import MIGRATIONS, CommittedLayer, LayerTable, chain_id
from wherry.snapshots.streams import HashingReader, HashingWriter
from wherry.snapshots.tar_reader import Readable, TarReader
from wherry.store import Database

LARGEST_LAYER = 1 << 38
"""Bytes that a layer's tar may have unpacked, 256 GiB: what stops a bomb that lies of nothing."""
MOST_LAYERS = 128
"""Docker's bound; overlayfs takes 500, but their names must fit in one page of options."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedLayer:
    """A layer that is unpacked and not committed: gone after a restart."""

    layer: CommittedLayer
    counts: LayerCounts
    is_new: bool
    """False: the same stack was here already, and nothing was unpacked."""


@dataclass(frozen=True, slots=True)
class _RootState:
    """How a stack's root directory looks: overlayfs shows that of the topmost layer."""

    mode: int
    uid: int
    gid: int


class Snapshots:
    """Snapshots on overlayfs."""

    name = "overlay2"
    MIGRATIONS = MIGRATIONS

    def __init__(self, data_root: str, database: Database) -> None:
        """Take over `overlay2` of the data root (made if missing) and the rows of its layers."""
        self.directory = os.path.join(data_root, self.name)
        os.makedirs(self.directory, mode=0o710, exist_ok=True)
        self._layers = LayerTable(database)
        self._lock = threading.RLock()
        self._staged: dict[ChainId, StagedLayer] = {}
        self._lowers: dict[ChainId, tuple[str, ...]] = {}
        self._roots: dict[ChainId, _RootState] = {}
        self._active: dict[SnapshotKey, ChainId | None] = {}
        self._next_number = 1
        self._read_directory()

    # -- writable snapshots ------------------------------------------------------------------

    def prepare(
        self, key: SnapshotKey, parent: ChainId | None, *, why: str = "each container writes apart"
    ) -> Journal:
        """Make a writable snapshot on a stack of layers; returns what was done.

        Raises: StateUnreadable when the stack is not here; StepFailed.
        """
        if not _KEY.fullmatch(key) or _NUMBER.fullmatch(key):
            raise ValueError(f"not a snapshot key: {key!r}")
        with self._lock:
            root = self._root_state(parent)
            lower = str(self._layer(parent).number) if parent is not None else ""
            # From here on the stack is in use, and nobody removes it.
            self._active[key] = parent
        directory = os.path.join(self.directory, key)

        def make() -> Evidence:
            os.mkdir(directory, 0o710)
            os.mkdir(f"{directory}/diff", root.mode)
            # mkdir leaves out the bits of our umask, and setgid or sticky ones.
            os.chmod(f"{directory}/diff", root.mode)
            if root.uid or root.gid:
                os.chown(f"{directory}/diff", root.uid, root.gid)
            os.mkdir(f"{directory}/work", 0o700)
            if lower:
                os.symlink(f"../{lower}", f"{directory}/lower")
            return {"directory": directory}

        try:
            return _perform(PrepareSnapshot(why=why, directory=directory, lower=lower, work=make))
        except StepFailed:
            self.remove(key)
            raise

    def remove(self, key: SnapshotKey) -> None:
        """Remove a writable snapshot; one that is not there is no error. Raises: StepFailed."""
        directory = os.path.join(self.directory, key)

        def remove() -> Evidence:
            return {"removed": self._remove_entry(key)}

        if not _KEY.fullmatch(key) or _NUMBER.fullmatch(key):
            raise ValueError(f"not a snapshot key: {key!r}")
        _perform(RemoveSnapshot(why="its container is removed", directory=directory, work=remove))
        self._active.pop(key, None)

    def rootfs(self, key: SnapshotKey) -> RootfsMount:
        """How to mount a snapshot. Raises: StateUnreadable when it is not here."""
        parent = self._parent_of(key)
        return RootfsMount(
            type="overlay",
            directory=self.directory,
            lower=self._lower_names(parent),
            upper=f"{self.directory}/{key}/diff",
            work=f"{self.directory}/{key}/work",
        )

    def graph_data(self, subject: SnapshotKey | ChainId) -> Mapping[str, str]:
        """Docker's `GraphDriver.Data` of a snapshot or of a stack of layers."""
        chain = self._layers.get(ChainId(subject))
        if chain is not None:
            lowers = self._lower_names(chain.parent)
            own = f"{self.directory}/{chain.number}"
        else:
            lowers = self._lower_names(self._parent_of(SnapshotKey(subject)))
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

    def layer(self, chain: ChainId) -> CommittedLayer | None:
        """The committed layer on top of a stack; None when it is not here."""
        return self._layers.get(chain)

    def layers(self) -> tuple[CommittedLayer, ...]:
        """Every committed layer, parents before their children."""
        return self._layers.all()

    def stage_layer(
        self,
        parent: ChainId | None,
        packed: Readable,
        *,
        diff_id: DiffId | None = None,
        on_progress: Callable[[LayerCounts], None] | None = None,
    ) -> StagedLayer:
        """Unpack a layer (compressed or not) on a stack, without committing it.

        `parent` may itself be staged. With a `diff_id`, a stack that is here already is not
        unpacked again, and content of another digest is refused.

        Raises: ArchiveRefused; DigestMismatch; StepFailed. Nothing is left behind then.
        """
        with self._lock:
            known = self._known(parent, diff_id)
            if known is not None:
                return known
            stack = self._stack(parent)
            if len(stack) >= MOST_LAYERS:
                raise ArchiveRefused(f"more than {MOST_LAYERS} layers")
            number = self._next_number
            self._next_number += 1
        source = HashingReader(decompressed(packed)[1], limit_bytes=LARGEST_LAYER)
        counts = LayerCounts()

        def unpack() -> Evidence:
            nonlocal counts
            counts = self._unpack(number, stack, source, on_progress)
            if diff_id is not None and source.digest() != diff_id:
                raise DigestMismatch(diff_id, source.digest())
            return {"entries": counts.entries, "bytes": counts.content_bytes}

        directory = os.path.join(self.directory, str(number))
        try:
            _perform(
                ApplyLayer(
                    why="the image has this layer",
                    directory=directory,
                    diff_id=diff_id or "",
                    work=unpack,
                )
            )
        except BaseException:
            self._remove_entry(str(number))
            raise
        layer = CommittedLayer(
            number=number,
            chain_id=chain_id(parent, source.digest()),
            parent=parent,
            diff_id=source.digest(),
            size_bytes=counts.content_bytes,
        )
        return self._stage(StagedLayer(layer=layer, counts=counts, is_new=True))

    def commit_layers(self, staged: Sequence[StagedLayer]) -> None:
        """Make staged layers durable, parents first: after this they survive a power cut.

        Raises: StepFailed; then they are still staged.
        """
        if not any(each.is_new for each in staged):
            return
        with open_directory(self.directory) as descriptor:
            try:
                syncfs(descriptor)
            except OSError as error:
                raise StepFailed("write layers to the disk", error.strerror or "") from error
        with self._lock:
            pending = [each for each in staged if each.layer.chain_id in self._staged]
            self._layers.add(each.layer for each in pending)
            for each in pending:
                del self._staged[each.layer.chain_id]

    def discard_layers(self, staged: Sequence[StagedLayer]) -> None:
        """Remove staged layers that were not committed."""
        with self._lock:
            for each in reversed(staged):
                if each.is_new and self._staged.pop(each.layer.chain_id, None) is not None:
                    self._forget(each.layer)
                    self._remove_entry(str(each.layer.number))

    def apply_layer(
        self, parent: ChainId | None, packed: Readable, *, diff_id: DiffId | None = None
    ) -> CommittedLayer:
        """Unpack a layer on a stack and commit it. Raises: as `stage_layer`."""
        staged = self.stage_layer(parent, packed, diff_id=diff_id)
        try:
            self.commit_layers([staged])
        except BaseException:
            self.discard_layers([staged])
            raise
        return staged.layer

    def diff_layer(self, subject: SnapshotKey | ChainId, out: Writable) -> DiffId:
        """Write a snapshot's changes, or a committed layer, as a tar; returns its digest.

        Raises: StateUnreadable when it is not here; StepFailed.
        """
        layer = self._layers.get(ChainId(subject))
        if layer is None:
            self._parent_of(SnapshotKey(subject))
        name = subject if layer is None else str(layer.number)
        hashing = HashingWriter(out)

        def pack() -> Evidence:
            root = os.open(
                f"{self.directory}/{name}/diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            )
            try:
                counts = diff_tar(root, hashing)
            finally:
                os.close(root)
            return {"entries": counts.entries, "bytes": counts.content_bytes}

        _perform(
            DiffLayer(
                why="the layer is written as a tar",
                directory=os.path.join(self.directory, name),
                work=pack,
            )
        )
        return hashing.digest()

    def remove_layers(self, wanted: Collection[ChainId]) -> tuple[ChainId, ...]:
        """Remove every committed layer that isn't wanted, nor below one that is or a snapshot.

        Returns what was removed, children first. Raises: StepFailed.
        """
        with self._lock:
            needed: set[ChainId] = set()
            in_use = {chain for chain in list(self._active.values()) if chain is not None}
            staged = {
                each.layer.parent
                for each in self._staged.values()
                if each.layer.parent is not None
            }
            for top in in_use | staged | set(wanted):
                chain: ChainId | None = top
                while chain is not None and chain not in needed:
                    needed.add(chain)
                    layer = self._layers.get(chain)
                    chain = layer.parent if layer is not None else None
            gone = [each for each in reversed(self._layers.all()) if each.chain_id not in needed]
            if not gone:
                return ()
            self._layers.remove(gone)
            for each in gone:
                self._forget(each)
        for each in gone:
            self._remove_layer_directory(each)
        return tuple(each.chain_id for each in gone)

    def sweep(self, living: Collection[SnapshotKey]) -> tuple[str, ...]:
        """At boot: remove snapshots of no living container, and layers that were never committed.

        Returns the names of what was removed.
        """
        removed = []
        for name in os.listdir(self.directory):
            if _NUMBER.fullmatch(name):
                if self._layers.numbered(int(name)) is not None:
                    continue
            elif name in living:
                continue
            self._remove_entry(name)
            self._active.pop(SnapshotKey(name), None)
            removed.append(name)
        return tuple(removed)

    # -- inside ------------------------------------------------------------------------------

    def _read_directory(self) -> None:
        """Learn which snapshots there are, and the largest number in use."""
        for layer in self._layers.all():
            self._next_number = max(self._next_number, layer.number + 1)
        for name in os.listdir(self.directory):
            if _NUMBER.fullmatch(name):
                self._next_number = max(self._next_number, int(name) + 1)
                continue
            parent: ChainId | None = None
            with contextlib.suppress(FileNotFoundError, ValueError):
                number = int(os.path.basename(os.readlink(f"{self.directory}/{name}/lower")))
                lower = self._layers.numbered(number)
                parent = lower.chain_id if lower is not None else None
            self._active[SnapshotKey(name)] = parent

    def _known(self, parent: ChainId | None, diff_id: DiffId | None) -> StagedLayer | None:
        if diff_id is None:
            return None
        chain = chain_id(parent, diff_id)
        layer = self._layers.get(chain)
        if layer is not None:
            return StagedLayer(layer=layer, counts=LayerCounts(), is_new=False)
        return None

    def _stage(self, staged: StagedLayer) -> StagedLayer:
        """Note a staged layer, unless somebody else brought the same one meanwhile."""
        chain = staged.layer.chain_id
        with self._lock:
            committed = self._layers.get(chain)
            if committed is None and chain not in self._staged:
                self._staged[chain] = staged
                return staged
            self._remove_entry(str(staged.layer.number))
            if committed is not None:
                return StagedLayer(layer=committed, counts=staged.counts, is_new=False)
            return self._staged[chain]

    def _stack(self, chain: ChainId | None) -> tuple[CommittedLayer, ...]:
        """A stack, topmost first, where upper layers may be staged."""
        found = []
        while chain is not None and (staged := self._staged.get(chain)) is not None:
            found.append(staged.layer)
            chain = staged.layer.parent
        try:
            return (*found, *self._layers.stack(chain))
        except KeyError as error:
            raise StateUnreadable("layers", f"no layer {error.args[0]}") from error

    def _unpack(
        self,
        number: int,
        stack: Sequence[CommittedLayer],
        source: Readable,
        on_progress: Callable[[LayerCounts], None] | None,
    ) -> LayerCounts:
        directory = f"{self.directory}/{number}"
        os.mkdir(directory, 0o710)
        os.mkdir(f"{directory}/diff", 0o755)
        with contextlib.ExitStack() as opened:
            root = opened.enter_context(open_directory(f"{directory}/diff"))
            lowers = [
                opened.enter_context(open_directory(f"{self.directory}/{layer.number}/diff"))
                for layer in stack
            ]
            if lowers:
                state = os.fstat(lowers[0])
                os.fchown(root, state.st_uid, state.st_gid)
                os.fchmod(root, stat.S_IMODE(state.st_mode))
            else:
                os.fchmod(root, 0o755)
            return apply_tar(TarReader(source), root, lowers=lowers, on_progress=on_progress)

    def _layer(self, chain: ChainId) -> CommittedLayer:
        layer = self._layers.get(chain)
        if layer is None:
            raise StateUnreadable("layers", f"no layer {chain}")
        return layer

    def _parent_of(self, key: SnapshotKey) -> ChainId | None:
        try:
            return self._active[key]
        except KeyError:
            raise StateUnreadable("snapshots", f"no snapshot {key}") from None

    def _lower_names(self, chain: ChainId | None) -> tuple[str, ...]:
        if chain is None:
            return ()
        names = self._lowers.get(chain)
        if names is None:
            names = tuple(f"{layer.number}/diff" for layer in self._stack(chain))
            self._lowers[chain] = names
        return names

    def _root_state(self, chain: ChainId | None) -> _RootState:
        if chain is None:
            return _RootState(0o755, 0, 0)
        state = self._roots.get(chain)
        if state is None:
            seen = os.stat(f"{self.directory}/{self._layer(chain).number}/diff")
            state = _RootState(stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)
            self._roots[chain] = state
        return state

    def _forget(self, layer: CommittedLayer) -> None:
        self._lowers.pop(layer.chain_id, None)
        self._roots.pop(layer.chain_id, None)

    def _remove_layer_directory(self, layer: CommittedLayer) -> None:
        def remove() -> Evidence:
            return {"removed": self._remove_entry(str(layer.number))}

        _perform(
            RemoveLayer(
                why="no image and no container needs it",
                directory=f"{self.directory}/{layer.number}",
                work=remove,
            )
        )

    def _remove_entry(self, name: str) -> int:
        with open_directory(self.directory) as directory:
            return remove_tree(directory, name)


def _perform(operation: Operation) -> Journal:
    """Do one operation. Raises: what its work raised of our kinds; else StepFailed."""
    hands, journal = Hands(), Journal()
    try:
        execute((operation,), hands, journal)
    except OperationFailed as failure:
        if isinstance(failure.cause, OSError):
            raise StepFailed(operation.describe(), failure.entry.error) from failure.cause
        raise failure.cause from None
    return journal
