"""The numbered directories of layers: unpacking into one, dressing it, taking it away.

A layer is unpacked before it must be known what it stands on. What its archive does not describe,
the directories on the way to its files, is *dressed* as the layers below have it, once they are
known.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence

from wherry.kit.values import dataclass
from wherry.linux.files import open_directory, remove_tree
from wherry.model.errors.images import DigestMismatch
from wherry.model.ids import DiffId, Digest
from wherry.operations.files.layers import AdoptLayer, ApplyLayer, DressLayer, RemoveLayer
from wherry.operations.plan import Evidence
from wherry.snapshots.apply import LayerCounts, apply_tar
from wherry.snapshots.compression import Compression, decompressed
from wherry.snapshots.layer_tree import UnnamedDirectory, dress
from wherry.snapshots.performing import perform
from wherry.snapshots.streams import HashingReader
from wherry.snapshots.tar_reader import Readable, TarReader

LARGEST_LAYER = 1 << 38
"""Bytes that a layer's tar may have unpacked, 256 GiB: what stops a bomb that lies of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseLayer:
    """A layer that is unpacked and stands on nothing yet: `settle` it or `drop` it."""

    number: int
    """Its directory's name."""
    diff_id: DiffId
    counts: LayerCounts
    unnamed: tuple[UnnamedDirectory, ...]


Release = Callable[[str], int]
"""Gives back what a driver has put into an entry beside files; how much it was."""


def has_only_files(_path: str) -> int:
    """Nothing is to be given back."""
    return 0


class LayerDirectories:
    """What layers are on the disk, whether anybody knows of them or not."""

    def __init__(
        self, root: str, taken: Iterable[int], *, release: Release = has_only_files
    ) -> None:
        """`taken`: numbers that may not be given again, beside those of directories."""
        self.root = root
        self._release = release
        self._lock = threading.Lock()
        self._next_number = max((*taken, *self.numbers()), default=0) + 1

    def numbers(self) -> list[int]:
        """Of every layer's directory."""
        return [int(name) for name in os.listdir(self.root) if is_layer_name(name)]

    def path(self, number: int) -> str:
        """A layer's directory; its files are in `diff` of it."""
        return f"{self.root}/{number}"

    def has_files(self, number: int) -> bool:
        """Whether anything of a layer is there."""
        try:
            return bool(os.listdir(self.path(number)))
        except OSError:
            return False

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
        number = self._new_number()
        compression, plain = decompressed(packed)
        source = HashingReader(
            plain,
            limit_bytes=LARGEST_LAYER,
            known_digest=packed_digest if compression is Compression.NONE else None,
        )
        unpacked: list[LooseLayer] = []

        def unpack() -> Evidence:
            counts, unnamed = self._unpack(number, source, on_progress)
            check_digest(diff_id, source.digest())
            unpacked.append(
                LooseLayer(number=number, diff_id=source.digest(), counts=counts, unnamed=unnamed)
            )
            return {"entries": counts.entries, "bytes": counts.content_bytes}

        try:
            perform(
                ApplyLayer(
                    why="the image has this layer",
                    directory=self.path(number),
                    diff_id=diff_id or "",
                    work=unpack,
                )
            )
        except BaseException:
            self.remove_entry(str(number))
            raise
        return unpacked[0]

    def drop(self, loose: LooseLayer) -> None:
        """Remove an unpacked layer that is not wanted."""
        self.remove_entry(str(loose.number))

    def dress(self, loose: LooseLayer, stack: Sequence[int]) -> None:
        """Let the directories that an archive did not describe be as they are below.

        Raises: StepFailed.
        """
        if not loose.unnamed:
            return
        directory = self.path(loose.number)

        def work() -> Evidence:
            with contextlib.ExitStack() as opened:
                root = opened.enter_context(open_directory(f"{directory}/diff"))
                lowers = [
                    opened.enter_context(open_directory(f"{self.path(each)}/diff"))
                    for each in stack
                ]
                dress(root, loose.unnamed, lowers)
            return {"count": len(loose.unnamed)}

        why = "the archive uses directories that it does not describe"
        perform(DressLayer(why=why, directory=directory, count=len(loose.unnamed), work=work))

    def adopt(self, source: str) -> int:
        """Make a tree beside the layers one of them; returns its number. Raises: StepFailed."""
        number = self._new_number()
        why = "a step of a build wrote it"
        perform(AdoptLayer(why=why, source=source, directory=self.path(number)))
        return number

    def remove(self, number: int) -> None:
        """Remove what was a layer, and tell so. Raises: StepFailed."""

        def remove() -> Evidence:
            return {"removed": self.remove_entry(str(number))}

        perform(
            RemoveLayer(
                why="no image and no container needs it",
                directory=self.path(number),
                work=remove,
            )
        )

    def remove_entry(self, name: str) -> int:
        """Remove a directory of ours, a layer's or another's; how much went with it."""
        released = self._release(f"{self.root}/{name}")
        with open_directory(self.root) as directory:
            return released + remove_tree(directory, name)

    # -- inside ------------------------------------------------------------------------------

    def _new_number(self) -> int:
        with self._lock:
            self._next_number += 1
            return self._next_number - 1

    def _unpack(
        self,
        number: int,
        source: Readable,
        on_progress: Callable[[LayerCounts], None] | None,
    ) -> tuple[LayerCounts, tuple[UnnamedDirectory, ...]]:
        directory = self.path(number)
        os.mkdir(directory, 0o710)
        os.mkdir(f"{directory}/diff", 0o755)
        with open_directory(f"{directory}/diff") as root:
            os.fchmod(root, 0o755)
            return apply_tar(TarReader(source), root, on_progress=on_progress)


def is_layer_name(name: str) -> bool:
    """Whether a directory is a layer's: a short number, which no snapshot's key may be."""
    return len(name) <= 10 and name.isascii() and name.isdigit()


def check_digest(promised: DiffId | None, found: DiffId) -> None:
    """What was promised, if anything was, must be what came. Raises: DigestMismatch."""
    if promised is not None and promised != found:
        raise DigestMismatch(promised, found)
