"""The btrfs driver: each writable snapshot is a btrfs snapshot, made at once whatever its size.

    btrfs/12/diff        a committed layer, as the overlay driver keeps it
    btrfs/12/tree        a subvolume: that layer's whole stack, merged when it is first wanted
    btrfs/<key>/diff     a writable snapshot: a btrfs snapshot of its stack's `tree`
    btrfs/<key>/lower    a link that says what it stands on: `../12`

The tree shares its blocks with the layers below and with every snapshot on it; a stack costs
its names, not its bytes. As with copies, what a snapshot has changed is found by comparing.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from wherry.kit.byte_sizes import parse_size
from wherry.linux import btrfs
from wherry.linux.files import open_directory
from wherry.model.errors import InvalidValue, StateUnreadable
from wherry.model.ids import ChainId
from wherry.snapshots.layer_store import LayerStore
from wherry.snapshots.tree_copies import add_layer
from wherry.snapshots.vfs import VfsSnapshots
from wherry.store import Database


class BtrfsLayers(LayerStore):
    """Layers with their merged trees beside them."""

    def __init__(self, directory: str, database: Database) -> None:
        """Take over the layers."""
        super().__init__(directory, database, release=_destroy_subvolumes)

    def tree(self, chain: ChainId) -> str:
        """The merged tree of a stack, made if it is missing. Raises: OSError."""
        layer = self.require(chain)
        place = f"{self.directory}/{layer.number}"
        with self.lock:
            if not os.path.isdir(f"{place}/tree"):
                parent = self.tree(layer.parent) if layer.parent is not None else None
                with open_directory(place) as directory:
                    btrfs.destroy_subvolume(directory, "tree.partial")
                    _copy_subvolume(parent, directory, "tree.partial")
                    add_layer(f"{place}/diff", f"{place}/tree.partial")
                    os.rename("tree.partial", "tree", src_dir_fd=directory, dst_dir_fd=directory)
        return f"{place}/tree"


def _destroy_subvolumes(path: str) -> int:
    """Those of a directory of ours, each as one."""
    destroyed = 0
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), open_directory(path) as entry:
        for name in ("diff", "tree", "tree.partial"):
            try:
                destroyed += btrfs.destroy_subvolume(entry, name)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
    return destroyed


class BtrfsSnapshots(VfsSnapshots):
    """Snapshots by btrfs."""

    name = "btrfs"
    layers: BtrfsLayers

    def __init__(self, data_root: str, database: Database) -> None:
        """Take over `btrfs` of the data root. Raises: StateUnreadable on another file system."""
        with open_directory(data_root) as root:
            if not btrfs.is_btrfs(root):
                raise StateUnreadable(
                    data_root,
                    "error initializing graphdriver: prerequisites for driver not satisfied "
                    "(wrong filesystem?): btrfs",
                )
        super().__init__(data_root, database)

    def check_options(self, options: Mapping[str, str]) -> None:
        """`size` is a quota group's. Raises: InvalidValue."""
        _size_of(options)

    def status(self) -> tuple[tuple[str, str], ...]:
        """What `docker info` tells of the storage driver."""
        return (("Btrfs", ""),)

    # -- inside ------------------------------------------------------------------------------

    def _fill(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> None:
        size_bytes = _size_of(options)
        with open_directory(directory) as place:
            if size_bytes:
                btrfs.enable_quotas(place)
            source = self.layers.tree(parent) if parent is not None else None
            _copy_subvolume(source, place, "diff")
        self._dress_root(parent, f"{directory}/diff")
        if size_bytes:
            with open_directory(f"{directory}/diff") as made:
                btrfs.limit_referenced(made, size_bytes)

    def _by_hand(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> str:
        making = "create"
        if parent is not None:
            making = f"snapshot {self.directory}/{self.layers.require(parent).number}/tree"
        shell = f"mkdir -p {directory} && btrfs subvolume {making} {directory}/diff"
        if size_bytes := _size_of(options):
            shell += f" && btrfs qgroup limit {size_bytes} {directory}/diff"
        return shell

    def _open_layers(self, database: Database) -> LayerStore:
        return BtrfsLayers(self.directory, database)

    @contextmanager
    def _stack_copied(self, parent: ChainId | None) -> Iterator[str]:
        """A stack's merged tree is there already."""
        if parent is None:
            with super()._stack_copied(parent) as empty:
                yield empty
        else:
            yield self.layers.tree(parent)


def _copy_subvolume(source: str | None, directory: int, name: str) -> None:
    """A snapshot of a subvolume, or an empty one. Raises: OSError."""
    if source is None:
        btrfs.create_subvolume(directory, name)
        return
    with open_directory(source) as subvolume:
        btrfs.create_snapshot(subvolume, directory, name)


def _size_of(options: Mapping[str, str]) -> int:
    """The bytes that `size` asks for; 0 for no bound. Raises: InvalidValue."""
    size_bytes = 0
    for name, value in options.items():
        if name.lower() != "size":
            raise InvalidValue(f"Unknown option {name} ({value})")
        try:
            size_bytes = parse_size(value)
        except ValueError as error:
            raise InvalidValue(str(error)) from error
        if size_bytes <= 0:
            raise InvalidValue("btrfs: storage size must be greater than 0")
    return size_bytes
