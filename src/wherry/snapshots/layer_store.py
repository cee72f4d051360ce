"""Which layers there are, and how one comes to be: loose, staged, committed.

    unpack ─▶ loose ─settle─▶ staged ─commit─▶ committed ─forget─▶ removed
               └─drop           └─discard

A *loose* layer is a directory that stands on nothing (`layer_directories`). A *staged* one stands
on others and has no row: after a restart it is gone. Committing syncs the file system first and
writes the rows after, so that a row never speaks of data that a power cut could still take.

Lock order: this class's lock, then the database's.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Collection, Sequence

from wherry.kit.values import dataclass
from wherry.linux.files import open_directory, syncfs
from wherry.model.errors import StateUnreadable, StepFailed
from wherry.model.errors.images import ArchiveRefused
from wherry.model.ids import ChainId, DiffId
from wherry.snapshots.apply import LayerCounts
from wherry.snapshots.layer_directories import (
    LayerDirectories,
    LooseLayer,
    Release,
    check_digest,
    has_only_files,
)
from wherry.snapshots.layer_table import CommittedLayer, LayerTable, chain_id
from wherry.snapshots.tar_reader import Readable
from wherry.store import Damages, Database

MOST_LAYERS = 128
"""Docker's bound; overlayfs takes 500, but their names must fit in one page of options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedLayer:
    """A layer that is unpacked and not committed: gone after a restart."""

    layer: CommittedLayer
    counts: LayerCounts
    is_new: bool
    """False: the same stack was here already, and nothing was unpacked."""


@dataclass(frozen=True, slots=True)
class DirectoryState:
    """How a directory of a stack looks: overlayfs shows that of the topmost layer."""

    mode: int
    uid: int
    gid: int


_MADE = DirectoryState(0o755, 0, 0)


class LayerStore:
    """The layers of one overlay directory; every method may be called from any thread."""

    def __init__(
        self, directory: str, database: Database, *, release: Release = has_only_files
    ) -> None:
        """Take over the numbered directories and their rows."""
        self.directory = directory
        self._table = LayerTable(database)
        taken = (layer.number for layer in self._table.all())
        self.directories = LayerDirectories(directory, taken, release=release)
        self._forget_lost(database.damages)
        self.lock = threading.RLock()
        self._staged: dict[ChainId, StagedLayer] = {}
        self._lowers: dict[ChainId, tuple[str, ...]] = {}
        self._roots: dict[ChainId, DirectoryState] = {}

    # -- reading -----------------------------------------------------------------------------

    def get(self, chain: ChainId) -> CommittedLayer | None:
        """The committed layer on top of a stack; None when it is not here."""
        return self._table.get(chain)

    def numbered(self, number: int) -> CommittedLayer | None:
        """The committed layer in a directory; None when there is none."""
        return self._table.numbered(number)

    def all(self) -> tuple[CommittedLayer, ...]:
        """Every committed layer, parents before their children."""
        return self._table.all()

    def require(self, chain: ChainId) -> CommittedLayer:
        """The committed layer on top of a stack. Raises: StateUnreadable."""
        layer = self._table.get(chain)
        if layer is None:
            raise StateUnreadable("layers", f"no layer {chain}")
        return layer

    def lower_names(self, chain: ChainId | None) -> tuple[str, ...]:
        """A stack's directories, topmost first, as overlayfs is told of them."""
        if chain is None:
            return ()
        names = self._lowers.get(chain)
        if names is None:
            names = tuple(f"{layer.number}/diff" for layer in self._stack(chain))
            self._lowers[chain] = names
        return names

    def root_state(self, chain: ChainId | None) -> DirectoryState:
        """How the root of a snapshot on a stack must look."""
        if chain is None:
            return _MADE
        state = self._roots.get(chain)
        if state is None:
            state = self._roots[chain] = self.directory_state(chain, b"")
        return state

    def directory_state(self, chain: ChainId | None, name: bytes) -> DirectoryState:
        """How a directory in the root of a stack looks, or one that is made there."""
        for lower in self.lower_names(chain):
            path = os.path.join(os.fsencode(f"{self.directory}/{lower}"), name)
            with contextlib.suppress(FileNotFoundError):
                seen = os.lstat(path)
                return DirectoryState(stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)
        return _MADE

    # -- changes -----------------------------------------------------------------------------

    def stage(
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
        with self.lock:
            known = self._known(parent, diff_id)
            if known is not None:
                return known
            self._check_height(parent)
        loose = self.directories.unpack(packed, diff_id=diff_id, on_progress=on_progress)
        return self.settle(parent, loose)

    def settle(
        self, parent: ChainId | None, loose: LooseLayer, *, diff_id: DiffId | None = None
    ) -> StagedLayer:
        """Put an unpacked layer on a stack. Where that is here already, the new one goes.

        Raises: ArchiveRefused; DigestMismatch; StepFailed. The layer is dropped then.
        """
        try:
            check_digest(diff_id, loose.diff_id)
            known = self._known(parent, loose.diff_id)
            if known is not None:
                self.directories.drop(loose)
                return known
            with self.lock:
                stack = self._check_height(parent)
            if stack:
                self.directories.dress(loose, [each.number for each in stack])
        except BaseException:
            self.directories.drop(loose)
            raise
        layer = CommittedLayer(
            number=loose.number,
            chain_id=chain_id(parent, loose.diff_id),
            parent=parent,
            diff_id=loose.diff_id,
            size_bytes=loose.counts.content_bytes,
        )
        return self._stage(StagedLayer(layer=layer, counts=loose.counts, is_new=True))

    def commit(self, staged: Sequence[StagedLayer]) -> None:
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
        with self.lock:
            pending = [each for each in staged if each.layer.chain_id in self._staged]
            self._table.add(each.layer for each in pending)
            for each in pending:
                del self._staged[each.layer.chain_id]

    def discard(self, staged: Sequence[StagedLayer]) -> None:
        """Remove staged layers that were not committed."""
        with self.lock:
            for each in reversed(staged):
                if each.is_new and self._staged.pop(each.layer.chain_id, None) is not None:
                    self._forget(each.layer)
                    self.directories.remove_entry(str(each.layer.number))

    def apply(
        self, parent: ChainId | None, packed: Readable, *, diff_id: DiffId | None = None
    ) -> CommittedLayer:
        """Unpack a layer on a stack and commit it. Raises: as `stage`."""
        return self._committed(self.stage(parent, packed, diff_id=diff_id))

    def adopt(
        self, parent: ChainId | None, directory: str, diff_id: DiffId, size_bytes: int
    ) -> CommittedLayer:
        """Make a tree beside the layers one of them, and commit it: it has what its tar has.

        Where the same stack is here already, that stays the layer. Raises: ArchiveRefused;
        StepFailed; then nothing of the tree is left.
        """
        known = self._known(parent, diff_id)
        if known is not None:
            return known.layer
        with self.lock:
            self._check_height(parent)
        layer = CommittedLayer(
            number=self.directories.adopt(directory),
            chain_id=chain_id(parent, diff_id),
            parent=parent,
            diff_id=diff_id,
            size_bytes=size_bytes,
        )
        return self._committed(
            self._stage(StagedLayer(layer=layer, counts=LayerCounts(), is_new=True))
        )

    def forget_unneeded(self, needed: Collection[ChainId]) -> tuple[CommittedLayer, ...]:
        """Forget every committed layer that is in none of these stacks, nor below a staged one.

        Their directories are still there: `remove_directories`. Raises: StepFailed.
        """
        with self.lock:
            tops = set(needed)
            tops |= {each.layer.parent for each in self._staged.values() if each.layer.parent}
            kept: set[ChainId] = set()
            for top in tops:
                chain: ChainId | None = top
                while chain is not None and chain not in kept:
                    kept.add(chain)
                    layer = self._table.get(chain)
                    chain = layer.parent if layer is not None else None
            gone = tuple(each for each in reversed(self._table.all()) if each.chain_id not in kept)
            if gone:
                self._table.remove(gone)
            for each in gone:
                self._forget(each)
        return gone

    def remove_directories(self, layers: Sequence[CommittedLayer]) -> None:
        """Remove the directories of layers that are forgotten. Raises: StepFailed."""
        for layer in layers:
            self.directories.remove(layer.number)

    def remove_uncommitted(self) -> tuple[str, ...]:
        """At boot: remove the directories of layers that were never committed."""
        names = [
            str(number)
            for number in self.directories.numbers()
            if self._table.numbered(number) is None
        ]
        for name in names:
            self.directories.remove_entry(name)
        return tuple(names)

    # -- inside ------------------------------------------------------------------------------

    def _forget_lost(self, damages: Damages) -> None:
        """Layers whose files are gone are no layers, nor is what stands on them."""
        lost: dict[ChainId, CommittedLayer] = {}
        for layer in self._table.all():
            if layer.parent in lost or not self.directories.has_files(layer.number):
                lost[layer.chain_id] = layer
                what = f"layer {self.directories.path(layer.number)}"
                damages.note(what, "it or one below is gone", "load or pull its image again")
        if lost:
            self._table.remove(reversed(lost.values()))

    def _known(self, parent: ChainId | None, diff_id: DiffId | None) -> StagedLayer | None:
        if diff_id is None:
            return None
        chain = chain_id(parent, diff_id)
        layer = self._table.get(chain)
        if layer is not None:
            return StagedLayer(layer=layer, counts=LayerCounts(), is_new=False)
        return None

    def _committed(self, staged: StagedLayer) -> CommittedLayer:
        try:
            self.commit([staged])
        except BaseException:
            self.discard([staged])
            raise
        return staged.layer

    def _stage(self, staged: StagedLayer) -> StagedLayer:
        """Note a staged layer, unless somebody else brought the same one meanwhile."""
        chain = staged.layer.chain_id
        with self.lock:
            committed = self._table.get(chain)
            if committed is None and chain not in self._staged:
                self._staged[chain] = staged
                return staged
            self.directories.remove_entry(str(staged.layer.number))
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
            return (*found, *self._table.stack(chain))
        except KeyError as error:
            raise StateUnreadable("layers", f"no layer {error.args[0]}") from error

    def _check_height(self, parent: ChainId | None) -> tuple[CommittedLayer, ...]:
        """A stack that may get another layer, topmost first. Raises: ArchiveRefused."""
        stack = self._stack(parent)
        if len(stack) >= MOST_LAYERS:
            raise ArchiveRefused(f"more than {MOST_LAYERS} layers")
        return stack

    def _forget(self, layer: CommittedLayer) -> None:
        self._lowers.pop(layer.chain_id, None)
        self._roots.pop(layer.chain_id, None)
