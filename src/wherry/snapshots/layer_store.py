"""Committed and staged layers on the disk: unpacking, committing, removing them.

A layer may be unpacked before it is known what it stands on; settling it there makes it staged.
A staged layer has no row; others may be staged on top of it. Committing syncs the file system
first and writes the rows after, so that a row never speaks of data that a power cut could still
take.

Lock order: this class's lock, then the database's.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Collection, Sequence

from wherry.kit.values import dataclass
from wherry.linux.files import remove_tree, syncfs
from wherry.model.errors import ArchiveRefused, DigestMismatch, StateUnreadable, StepFailed
from wherry.model.ids import ChainId, DiffId, Digest
from wherry.operations.files.layers import AdoptLayer, ApplyLayer, DressLayer, RemoveLayer
from wherry.operations.plan import Evidence
from wherry.snapshots.apply import LayerCounts, apply_tar
from wherry.snapshots.compression import Compression, decompressed
from wherry.snapshots.host_trees import open_directory
from wherry.snapshots.layer_table import CommittedLayer, LayerTable, chain_id
from wherry.snapshots.layer_tree import UnnamedDirectory, dress
from wherry.snapshots.performing import perform
from wherry.snapshots.streams import HashingReader
from wherry.snapshots.tar_reader import Readable, TarReader
from wherry.store import Damages, Database

LARGEST_LAYER = 1 << 38
"""Bytes that a layer's tar may have unpacked, 256 GiB: what stops a bomb that lies of nothing."""
MOST_LAYERS = 128
"""Docker's bound; overlayfs takes 500, but their names must fit in one page of options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseLayer:
    """A layer that is unpacked and stands on nothing yet: `settle` it or `drop` it."""

    number: int
    """Its directory's name."""
    diff_id: DiffId
    counts: LayerCounts
    unnamed: tuple[UnnamedDirectory, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedLayer:
    """A layer that is unpacked and not committed: gone after a restart."""

    layer: CommittedLayer
    counts: LayerCounts
    is_new: bool
    """False: the same stack was here already, and nothing was unpacked."""


@dataclass(frozen=True, slots=True)
class RootState:
    """How a stack's root directory looks: overlayfs shows that of the topmost layer."""

    mode: int
    uid: int
    gid: int


class LayerStore:
    """The layers of one overlay directory; every method may be called from any thread."""

    def __init__(self, directory: str, database: Database) -> None:
        """Take over the numbered directories and their rows."""
        self.directory = directory
        self._table = LayerTable(database)
        self._forget_lost(database.damages)
        self.lock = threading.RLock()
        self._staged: dict[ChainId, StagedLayer] = {}
        self._lowers: dict[ChainId, tuple[str, ...]] = {}
        self._roots: dict[ChainId, RootState] = {}
        taken = [layer.number for layer in self._table.all()]
        taken += [int(name) for name in os.listdir(directory) if is_layer_name(name)]
        self._next_number = max(taken, default=0) + 1

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

    def root_state(self, chain: ChainId | None) -> RootState:
        """How the root of a snapshot on a stack must look."""
        if chain is None:
            return RootState(0o755, 0, 0)
        state = self._roots.get(chain)
        if state is None:
            seen = os.stat(f"{self.directory}/{self.require(chain).number}/diff")
            state = RootState(stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)
            self._roots[chain] = state
        return state

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
        return self.settle(parent, self.unpack(packed, diff_id=diff_id, on_progress=on_progress))

    def unpack(
        self,
        packed: Readable,
        *,
        diff_id: DiffId | None = None,
        on_progress: Callable[[LayerCounts], None] | None = None,
        packed_digest: Callable[[], Digest] | None = None,
    ) -> LooseLayer:
        """Unpack a layer (compressed or not) into a directory of its own.

        `packed_digest` tells, at the end, the digest of the bytes as they came, where somebody
        hashes them anyway: that of a layer which is not compressed need not be found twice.

        Raises: ArchiveRefused; DigestMismatch; StepFailed. Nothing is left behind then.
        """
        with self.lock:
            number = self._next_number
            self._next_number += 1
        compression, plain = decompressed(packed)
        source = HashingReader(
            plain,
            limit_bytes=LARGEST_LAYER,
            known_digest=packed_digest if compression is Compression.NONE else None,
        )
        unpacked: list[LooseLayer] = []

        def unpack() -> Evidence:
            counts, unnamed = self._unpack(number, source, on_progress)
            _check_digest(diff_id, source.digest())
            unpacked.append(
                LooseLayer(number=number, diff_id=source.digest(), counts=counts, unnamed=unnamed)
            )
            return {"entries": counts.entries, "bytes": counts.content_bytes}

        try:
            perform(
                ApplyLayer(
                    why="the image has this layer",
                    directory=os.path.join(self.directory, str(number)),
                    diff_id=diff_id or "",
                    work=unpack,
                )
            )
        except BaseException:
            self.remove_entry(str(number))
            raise
        return unpacked[0]

    def settle(
        self, parent: ChainId | None, loose: LooseLayer, *, diff_id: DiffId | None = None
    ) -> StagedLayer:
        """Put an unpacked layer on a stack. Where that is here already, the new one goes.

        Raises: ArchiveRefused; DigestMismatch; StepFailed. The layer is dropped then.
        """
        try:
            _check_digest(diff_id, loose.diff_id)
            known = self._known(parent, loose.diff_id)
            if known is not None:
                self.drop(loose)
                return known
            with self.lock:
                stack = self._check_height(parent)
            if stack:
                self._dress(loose, stack)
        except BaseException:
            self.drop(loose)
            raise
        layer = CommittedLayer(
            number=loose.number,
            chain_id=chain_id(parent, loose.diff_id),
            parent=parent,
            diff_id=loose.diff_id,
            size_bytes=loose.counts.content_bytes,
        )
        return self._stage(StagedLayer(layer=layer, counts=loose.counts, is_new=True))

    def drop(self, loose: LooseLayer) -> None:
        """Remove an unpacked layer that is not wanted."""
        self.remove_entry(str(loose.number))

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
                    self.remove_entry(str(each.layer.number))

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
            number = self._next_number
            self._next_number += 1
        layer = CommittedLayer(
            number=number,
            chain_id=chain_id(parent, diff_id),
            parent=parent,
            diff_id=diff_id,
            size_bytes=size_bytes,
        )
        place = os.path.join(self.directory, str(number))
        perform(AdoptLayer(why="a step of a build wrote it", source=directory, directory=place))
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
            self._remove_layer_directory(layer)

    def remove_uncommitted(self) -> tuple[str, ...]:
        """At boot: remove the directories of layers that were never committed."""
        names = [
            name
            for name in os.listdir(self.directory)
            if is_layer_name(name) and self._table.numbered(int(name)) is None
        ]
        for name in names:
            self.remove_entry(name)
        return tuple(names)

    def remove_entry(self, name: str) -> int:
        """Remove a directory of ours; how many files went with it."""
        with open_directory(self.directory) as directory:
            return remove_tree(directory, name)

    # -- inside ------------------------------------------------------------------------------

    def _forget_lost(self, damages: Damages) -> None:
        """Layers whose files are gone are no layers, nor is what stands on them."""
        lost: dict[ChainId, CommittedLayer] = {}
        for layer in self._table.all():
            if layer.parent in lost or not _has_files(f"{self.directory}/{layer.number}"):
                lost[layer.chain_id] = layer
                what = f"layer {self.directory}/{layer.number}"
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
            self.remove_entry(str(staged.layer.number))
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

    def _unpack(
        self,
        number: int,
        source: Readable,
        on_progress: Callable[[LayerCounts], None] | None,
    ) -> tuple[LayerCounts, tuple[UnnamedDirectory, ...]]:
        directory = f"{self.directory}/{number}"
        os.mkdir(directory, 0o710)
        os.mkdir(f"{directory}/diff", 0o755)
        with open_directory(f"{directory}/diff") as root:
            os.fchmod(root, 0o755)
            return apply_tar(TarReader(source), root, on_progress=on_progress)

    def _dress(self, loose: LooseLayer, stack: Sequence[CommittedLayer]) -> None:
        directory = f"{self.directory}/{loose.number}"

        def work() -> Evidence:
            with contextlib.ExitStack() as opened:
                root = opened.enter_context(open_directory(f"{directory}/diff"))
                lowers = [
                    opened.enter_context(open_directory(f"{self.directory}/{each.number}/diff"))
                    for each in stack
                ]
                dress(root, loose.unnamed, lowers)
            return {"count": len(loose.unnamed)}

        if loose.unnamed:
            why = "the archive uses directories that it does not describe"
            perform(DressLayer(why=why, directory=directory, count=len(loose.unnamed), work=work))

    def _forget(self, layer: CommittedLayer) -> None:
        self._lowers.pop(layer.chain_id, None)
        self._roots.pop(layer.chain_id, None)

    def _remove_layer_directory(self, layer: CommittedLayer) -> None:
        def remove() -> Evidence:
            return {"removed": self.remove_entry(str(layer.number))}

        perform(
            RemoveLayer(
                why="no image and no container needs it",
                directory=f"{self.directory}/{layer.number}",
                work=remove,
            )
        )


def is_layer_name(name: str) -> bool:
    """Whether a directory is a layer's: a short number, which no snapshot's key may be."""
    return len(name) <= 10 and name.isascii() and name.isdigit()


def _has_files(directory: str) -> bool:
    try:
        return bool(os.listdir(directory))
    except OSError:
        return False


def _check_digest(promised: DiffId | None, found: DiffId) -> None:
    if promised is not None and promised != found:
        raise DigestMismatch(promised, found)
