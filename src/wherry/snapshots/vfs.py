"""The vfs driver: each writable snapshot is a whole copy. Slow and large, and works anywhere.

    vfs/12/diff        a committed layer, as the overlay driver keeps it
    vfs/<key>/diff     a writable snapshot: the merged tree of its stack, copied
    vfs/<key>/lower    a link that says what it stands on: `../12`

For hosts without overlayfs, and for those who want a container's root to be one plain
directory. Layers stay differences, so that an image comes and goes with the same bytes; what a
snapshot has changed is found by comparing it with its stack (`tree_changes`).
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

from wherry.linux.files import open_directory, remove_tree
from wherry.model.errors import InvalidValue
from wherry.model.files import Change
from wherry.model.ids import ChainId, SnapshotKey
from wherry.oci.runtime_spec import RootfsMount
from wherry.snapshots.apply import LayerCounts
from wherry.snapshots.diff import Writable, snapshot_tar
from wherry.snapshots.host_trees import filesystem_type
from wherry.snapshots.layer_table import CommittedLayer
from wherry.snapshots.overlay import PackedLayer, Snapshots
from wherry.snapshots.tree_changes import changed_bytes, write_changes
from wherry.snapshots.tree_copies import add_layer


class VfsSnapshots(Snapshots):
    """Snapshots as copies."""

    name = "vfs"

    def check_options(self, options: Mapping[str, str]) -> None:
        """A copy has no bound. Raises: InvalidValue."""
        if options:
            raise InvalidValue("--storage-opt is not supported for vfs")

    def view(self, key: SnapshotKey, parent: ChainId | None, *, why: str) -> tuple[str, ...]:
        """One directory, which has all of it. Raises: as `prepare`."""
        self.prepare(key, parent, why=why)
        return (f"{self.directory}/{key}/diff",)

    def rootfs(self, key: SnapshotKey) -> RootfsMount:
        """The directory. Raises: StateUnreadable when it is not here."""
        self._parent_of(key)
        return RootfsMount(
            type="bind", directory=self.directory, source=f"{self.directory}/{key}/diff"
        )

    def graph_data(self, subject: SnapshotKey | ChainId) -> Mapping[str, str]:
        """Docker's `GraphDriver.Data` has no word for a copy."""
        return {}

    def usage(self, key: SnapshotKey) -> int:
        """Bytes of the files that are not as in the stack below."""
        with self._stack_copied(self._parent_of(key)) as before, self._tree(key) as after:
            return changed_bytes(before, after)

    def status(self) -> tuple[tuple[str, str], ...]:
        """What `docker info` tells of the storage driver."""
        return (("Backing Filesystem", filesystem_type(self.directory)),)

    def diff_layer(self, subject: SnapshotKey | ChainId, out: Writable) -> PackedLayer:
        """Write a snapshot's changes, or a committed layer. Raises: as the overlay driver."""
        if self.layers.get(ChainId(subject)) is not None:
            return super().diff_layer(subject, out)
        key = SnapshotKey(subject)
        parent = self._parent_of(key)

        def pack(sink: Writable) -> LayerCounts:
            with self._changes_written(key, parent) as changes, open_directory(changes) as root:
                return snapshot_tar(root, sink)

        return self._packed(key, out, pack)

    def become_layer(
        self, key: SnapshotKey, packed: PackedLayer, content: Callable[[], BinaryIO]
    ) -> CommittedLayer:
        """Unpack what was packed: the snapshot is a whole tree. Raises: as the overlay driver."""
        with content() as layer:
            return self.layers.apply(self._parent_of(key), layer, diff_id=packed.diff_id)

    def changes(self, key: SnapshotKey) -> list[Change]:
        """What was changed in a snapshot, in order of the names. Raises: as the overlay driver."""
        from wherry.snapshots.changes import changes_of

        parent = self._parent_of(key)
        with (
            self._changes_written(key, parent) as changes,
            self._stack_copied(parent) as before,
            open_directory(changes) as upper,
            open_directory(before) as below,
        ):
            return changes_of(upper, [below])

    # -- inside ------------------------------------------------------------------------------

    def _fill(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> None:
        self._copy_stack(parent, f"{directory}/diff")

    def _by_hand(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> str:
        below = " ".join(f"{self.directory}/{name}/." for name in self.layers.lower_names(parent))
        copied = (
            f" && cp -a {below} {directory}/diff  # lowest first; then what whiteouts hide goes"
        )
        return f"mkdir -p {directory}/diff" + (copied if below else "")

    def _copy_stack(self, parent: ChainId | None, target: str) -> None:
        """The merged tree of a stack, lowest layer first. Raises: OSError."""
        os.mkdir(target, 0o700)
        for name in reversed(self.layers.lower_names(parent)):
            add_layer(f"{self.directory}/{name}", target)
        self._dress_root(parent, target)

    @contextmanager
    def _changes_written(self, key: SnapshotKey, parent: ChainId | None) -> Iterator[str]:
        """What a snapshot changed, in overlayfs's form, for a while."""
        with (
            self._scratch() as changes,
            self._stack_copied(parent) as before,
            self._tree(key) as after,
        ):
            write_changes(before, after, changes)
            yield changes

    @contextmanager
    def _tree(self, key: SnapshotKey) -> Iterator[str]:
        """A snapshot's files, for a while."""
        yield f"{self.directory}/{key}/diff"

    @contextmanager
    def _stack_copied(self, parent: ChainId | None) -> Iterator[str]:
        """A stack's merged tree for a while; a single layer needs no copy."""
        with self._scratch() as place:
            self._copy_stack(parent, f"{place}/before")
            yield f"{place}/before"

    @contextmanager
    def _scratch(self) -> Iterator[str]:
        """An empty directory beside the snapshots; the sweep at boot finds one that was left."""
        made = tempfile.mkdtemp(prefix="scratch-", dir=self.directory)
        try:
            yield made
        finally:
            with open_directory(self.directory) as parent:
                remove_tree(parent, os.path.basename(made))
