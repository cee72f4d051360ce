"""The devicemapper driver: each writable snapshot is a thin device with a file system of its own.

    devicemapper/12/diff          a committed layer, as the overlay driver keeps it
    devicemapper/12/tree/device   a thin device: that layer's whole stack, merged when first wanted
    devicemapper/<key>/device     a writable snapshot: a thin device made of its stack's
    devicemapper/<key>/lower      a link that says what it stands on: `../12`

A stack's device is active only while it is filled; who wants to read it makes a snapshot of it.
A container's stays active, so that it can be mounted wherever somebody wants to see it, and has
a bound by nature: `dm.basesize`, or more by `--storage-opt size`. What a snapshot has changed is
found by comparing, as with copies.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from wherry.kit.byte_sizes import human_size, parse_size
from wherry.model.errors import InvalidValue, StateUnreadable
from wherry.model.ids import ChainId, SnapshotKey
from wherry.oci.runtime_spec import RootfsMount
from wherry.snapshots.layer_store import LayerStore
from wherry.snapshots.thin_pool import PoolOptions, ThinDevice, ThinPool
from wherry.snapshots.tree_copies import add_layer
from wherry.snapshots.vfs import VfsSnapshots
from wherry.store import Database


class ThinLayers(LayerStore):
    """Layers with the devices of their stacks beside them."""

    def __init__(self, directory: str, database: Database, pool: ThinPool) -> None:
        """Take over the layers, and know which devices of the pool are taken."""
        super().__init__(directory, database, release=self._drop_devices)
        self._pool = pool
        for name in os.listdir(directory):
            for place in _places(f"{directory}/{name}"):
                pool.record(place)

    def tree(self, chain: ChainId | None) -> ThinDevice:
        """The device of a stack, made if it is missing. Raises: OSError; StepFailed."""
        if chain is None:
            return self._pool.base
        layer = self.require(chain)
        place = f"{self.directory}/{layer.number}"
        with self.lock:
            made = self._pool.record(f"{place}/tree")
            if made is None:
                parent = self.tree(layer.parent)
                os.makedirs(f"{place}/tree.partial", mode=0o700, exist_ok=True)
                self._pool.drop(f"{place}/tree.partial")
                made = self._pool.snapshot(f"{place}/tree.partial", parent)
                with self._pool.mounted(made) as root:
                    add_layer(f"{place}/diff", root)
                os.rename(f"{place}/tree.partial", f"{place}/tree")
        return made

    def _drop_devices(self, path: str) -> int:
        return sum(map(self._pool.drop, _places(path)))


class DeviceMapperSnapshots(VfsSnapshots):
    """Snapshots in a thin pool."""

    name = "devicemapper"
    layers: ThinLayers

    def __init__(
        self, data_root: str, database: Database, options: Mapping[str, str] | None = None
    ) -> None:
        """Take over `devicemapper` of the data root, and the pool that `dm.*` options name.

        Raises: StateUnreadable without thin pools or the programs for them; ValueError.
        """
        self._pool = ThinPool(f"{data_root}/thin-pool", PoolOptions.read(options or {}))
        super().__init__(data_root, database)
        for key in self.keys():
            # The names of devices don't outlive the machine; containers do.
            if (device := self._pool.record(f"{self.directory}/{key}")) is not None:
                self._pool.activate(device)

    def check_options(self, options: Mapping[str, str]) -> None:
        """`size` is a device's, and no less than the base's. Raises: InvalidValue."""
        self._size_of(options)

    def view(self, key: SnapshotKey, parent: ChainId | None, *, why: str) -> tuple[str, ...]:
        """Without a device: who only reads can have the layers themselves, stacked."""
        self._made(key, parent, self._fill_view, "", why)
        return self._stacked(key)

    def rootfs(self, key: SnapshotKey) -> RootfsMount:
        """The device. Raises: StateUnreadable when it is not here."""
        return RootfsMount(
            type="device",
            directory=self.directory,
            source=self._pool.path(self._device(key)),
            filesystem=self._pool.filesystem,
        )

    def graph_data(self, subject: SnapshotKey | ChainId) -> Mapping[str, str]:
        """Docker's words; a stack that no container has stood on has no device yet."""
        chain = self.layers.get(ChainId(subject))
        place = f"{self.directory}/{subject if chain is None else f'{chain.number}/tree'}"
        device = self._pool.record(place)
        if device is None:
            return {}
        return {
            "DeviceId": str(device.number),
            "DeviceName": self._pool.device_name(device),
            "DeviceSize": str(device.size_bytes),
        }

    def status(self) -> tuple[tuple[str, str], ...]:
        """What `docker info` tells of the pool."""
        return self._pool.status()

    # -- inside ------------------------------------------------------------------------------

    def _fill(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> None:
        origin = self.layers.tree(parent)
        device = self._pool.snapshot(directory, origin, self._size_of(options))
        self._pool.activate(device)
        if device.size_bytes > origin.size_bytes:
            self._pool.grow(device)
        with self._pool.mounted(device) as root:
            self._dress_root(parent, root)

    def _fill_view(self, directory: str, parent: ChainId | None) -> None:
        os.mkdir(f"{directory}/diff", 0o700)
        self._dress_root(parent, f"{directory}/diff")

    def _by_hand(self, directory: str, parent: ChainId | None, options: Mapping[str, str]) -> str:
        return f"# a thin device in {self._pool.name}, made of that of what it stands on"

    def _open_layers(self, database: Database) -> LayerStore:
        return ThinLayers(self.directory, database, self._pool)

    def _size_of(self, options: Mapping[str, str]) -> int:
        """The bytes that `size` asks for; 0: the base's. Raises: InvalidValue."""
        size_bytes = 0
        for name, value in options.items():
            if name.lower() != "size":
                raise InvalidValue(f"Unknown option {name}")
            try:
                size_bytes = parse_size(value)
            except ValueError as error:
                raise InvalidValue(str(error)) from error
            if size_bytes < self._pool.base.size_bytes:
                least = human_size(self._pool.base.size_bytes)
                raise InvalidValue(f"devmapper: Container size cannot be smaller than {least}")
        return size_bytes

    def _device(self, key: SnapshotKey) -> ThinDevice:
        """Raises: StateUnreadable when there is none."""
        self._parent_of(key)
        device = self._pool.record(f"{self.directory}/{key}")
        if device is None:
            raise StateUnreadable("snapshots", f"no device of snapshot {key}")
        return device

    @contextmanager
    def _tree(self, key: SnapshotKey) -> Iterator[str]:
        with self._pool.mounted(self._device(key)) as root:
            yield root

    @contextmanager
    def _stack_copied(self, parent: ChainId | None) -> Iterator[str]:
        """A stack's merged tree, by a device made of it for the occasion."""
        with self._scratch() as place, ExitStack() as made:
            device = self._pool.snapshot(place, self.layers.tree(parent))
            made.callback(self._pool.drop, place)
            yield made.enter_context(self._pool.mounted(device))


def _places(directory: str) -> Iterator[str]:
    """Where a directory of ours may have the record of a device."""
    yield directory
    yield f"{directory}/tree"
    yield f"{directory}/tree.partial"
