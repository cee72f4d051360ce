"""`--squash`: one layer for all that a build adds to its base.

The layers are put on the base one after the other, each as overlayfs would show it; what was
written to the base then is the layer. History keeps every step, and says what was merged.
"""

import os
from collections.abc import Iterator

from wherry.builder.sources.trees import PassedOn
from wherry.builder.steps.stage_files import StageFiles
from wherry.images import BuildImages, BuildState, LayerBlob
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import replace
from wherry.linux.files import open_in_root, remove_tree
from wherry.oci.image_spec import History
from wherry.snapshots import Archive, TarEntry, TarReader, UnpackRules, decompressed, unpack_tar

_WHITEOUT, _OPAQUE = b".wh.", b".wh..wh..opq"


async def squashed(
    state: BuildState,
    kept_layers: int,
    *,
    images: BuildImages,
    files: StageFiles,
    offload: OffloadPool,
    clock: Clock,
) -> BuildState:
    """A state with one layer in the place of those above the first ones. Raises: StepFailed."""
    below = state.layers[:kept_layers]
    above = state.layers[kept_layers:]
    if len(above) < 2:
        return state
    base = BuildState(
        replace(state.document, diff_ids=tuple(each.diff_id for each in below)), below
    )
    async with UndoStack() as opened:
        key, root = await files.writable(base, opened)

        def merge() -> LayerBlob | None:
            for layer in above:
                with images.open_layer(layer) as packed:
                    archive = TarReader(decompressed(packed)[1])
                    unpack_tar(_Applied(archive, root), root, b"/", UnpackRules())
            return images.commit(key, base)

        merged = await offload(merge)
    whole = base if merged is None else base.with_layer(merged)
    return _with_history(whole, state, kept_layers, clock.now_ns())


def _with_history(
    merged: BuildState, whole: BuildState, kept_layers: int, now_ns: int
) -> BuildState:
    """Steps keep their lines; those whose layers are merged have none of their own any more."""
    lines, seen = [], 0
    for line in whole.document.history:
        seen += not line.empty_layer
        lines.append(line if seen <= kept_layers else replace(line, empty_layer=True))
    created = rfc3339_nano(now_ns)
    note = History(created=created, comment=f"merge {whole.image_id} to its base")
    document = replace(merged.document, created=created, history=(*lines, note))
    return replace(merged, document=document)


class _Applied(PassedOn):
    """A layer's entries on their way to a tree: whiteouts are done, not written."""

    def __init__(self, archive: Archive, root: int) -> None:
        super().__init__(archive)
        self._root = root

    def __iter__(self) -> Iterator[TarEntry]:
        for entry in self._present:
            parent, _, name = entry.path.rstrip(b"/").rpartition(b"/")
            if name == _OPAQUE:
                self._remove(parent, None)
            elif name.startswith(_WHITEOUT):
                self._remove(parent, name.removeprefix(_WHITEOUT))
            else:
                yield entry

    def _remove(self, parent: bytes, name: bytes | None) -> None:
        """Take a name away, or everything that a directory has."""
        try:
            directory = open_in_root(self._root, parent or b".", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return
        try:
            for each in [name] if name is not None else map(os.fsencode, os.listdir(directory)):
                remove_tree(directory, each)
        finally:
            os.close(directory)
