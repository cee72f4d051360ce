"""The history of volumes: snapshots of a volume's files, and volumes made of other ones.

How trees are made and where they are is told in `trees`. Whoever writes while a tree is copied
may be seen half: the snapshot's record says how it was taken and who wrote. A rollback puts what
it displaces aside as a snapshot first: nothing is ever lost by one.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from wherry.kit.clock import Clock
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import replace
from wherry.linux.files import open_directory
from wherry.model.errors import InvalidValue
from wherry.model.errors.volumes import (
    VolumeExists,
    VolumeHasNoHistory,
    VolumeSnapshotExists,
    VolumeSnapshotNotFound,
)
from wherry.model.files import Change
from wherry.model.volumes import (
    LOCAL,
    Consistency,
    SnapshotMethod,
    Volume,
    VolumeSnapshot,
    VolumeSpec,
)
from wherry.operations.files.volume_history import MoveVolume
from wherry.snapshots import (
    Readable,
    Writable,
    perform,
    tree_tar,
)
from wherry.volumes.comparison import changes_between
from wherry.volumes.trees import VolumeTrees
from wherry.volumes.volume_table import VolumeTable

_LABEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
PRESENT = "present"
"""What a volume is now, where the label of a snapshot might be; so is no label at all."""


class VolumeHistory:
    """What volumes were. Blocking; the caller sees to it that each volume has one verb at a time.

    `Volumes` does what needs to know who has a volume mounted.
    """

    def __init__(self, directory: str, table: VolumeTable, clock: Clock) -> None:
        self.trees = VolumeTrees(directory, table)
        self._table = table
        self._clock = clock

    # -- looking -----------------------------------------------------------------------------

    def plain(self, name: str) -> Volume:
        """A volume that can have a history. Raises: VolumeNotFound, VolumeHasNoHistory."""
        volume = self._table.require(name)
        if volume.driver != LOCAL:
            raise VolumeHasNoHistory(name, f"the driver {volume.driver} keeps its files")
        if kind := volume.options.get("type"):
            raise VolumeHasNoHistory(name, f"its options mount something on it (type={kind})")
        if size := volume.options.get("size"):
            raise VolumeHasNoHistory(name, f"it is bounded (size={size}), and copies are not")
        return volume

    def snapshots(self, name: str) -> Sequence[VolumeSnapshot]:
        """A volume's snapshots, oldest first. Raises: as `plain`."""
        return self._table.snapshots(self.plain(name).name)

    def snapshot(self, name: str, label: str) -> VolumeSnapshot:
        """One of them. Raises: as `plain`; VolumeSnapshotNotFound."""
        for each in self.snapshots(name):
            if each.name == label:
                return each
        raise VolumeSnapshotNotFound(name, label)

    def changes(self, name: str, older: str, newer: str) -> Sequence[Change]:
        """What has changed from one snapshot to another; without a label, to the present.

        Raises: as `snapshot`, OSError.
        """
        with (
            open_directory(self.place(name, older)) as one,
            open_directory(self.place(name, newer)) as two,
        ):
            return changes_between(one, two)

    def pack(self, name: str, label: str, out: Writable) -> None:
        """Write a snapshot, or the present, as a tar. Raises: as `snapshot`; StepFailed."""
        with open_directory(self.place(name, label)) as root:
            tree_tar(root, out)

    # -- snapshots ---------------------------------------------------------------------------

    def take(
        self, name: str, label: str, *, consistency: Consistency, writers: Sequence[str]
    ) -> VolumeSnapshot:
        """Keep how a volume is now. Without a label it is called by the time.

        `writers` are the containers that go on writing meanwhile.
        Raises: as `plain`; InvalidValue, VolumeSnapshotExists, StepFailed.
        """
        volume = self.plain(name)
        label = self.free_label(name, label)
        target = self.trees.kept(name, label)
        with self.trees.noted(target):
            done = self.trees.copy(
                volume.mount_point, target, f"snapshot {label} of volume {name}"
            )
            method = SnapshotMethod(done["method"])
            taken = VolumeSnapshot(
                volume=name,
                name=label,
                created_at_ns=self._clock.now_ns(),
                method=method,
                consistency=consistency,
                writers=tuple(writers),
                files=int(str(done["files"])),
                size_bytes=int(str(done["bytes"])),
            )
            self._table.add_snapshot(taken, tree=target)
        return taken

    def free_label(self, name: str, label: str, *, default: str = "") -> str:
        """A label that no snapshot has yet. Raises: InvalidValue, VolumeSnapshotExists."""
        taken = {each.name for each in self._table.snapshots(name)}
        if label:
            if not _LABEL.fullmatch(label):
                raise InvalidValue(
                    f'invalid snapshot name "{label}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are '
                    "allowed, 128 at most"
                )
            if label == PRESENT:
                raise InvalidValue(f'invalid snapshot name "{label}": it is what a volume is now')
            if label in taken:
                raise VolumeSnapshotExists(name, label)
            return label
        stem = default or _by_time(self._clock.now_ns())
        return next(each for each in _numbered(stem) if each not in taken)

    def forget(self, name: str, label: str) -> None:
        """Remove a snapshot. Raises: as `snapshot`; StepFailed."""
        place = self.trees.kept(name, label)
        self._table.remove_snapshot(self.snapshot(name, label), tree=place)
        self.trees.remove(place, f"snapshot {label} of volume {name} is removed")

    # -- what becomes a volume's present -----------------------------------------------------

    def prepare_rollback(self, name: str, label: str) -> VolumeSnapshot:
        """Copy a snapshot to where it can be put in place; what the present will be kept as.

        Raises: as `snapshot`; StepFailed.
        """
        self.snapshot(name, label)
        with self.trees.noted(self.trees.fresh(name)):
            source = self.trees.kept(name, label)
            self.trees.copy(source, self.trees.fresh(name), f"volume {name} goes back to {label}")
        return self._aside(name, f"before-{label}")

    def prepare_import(
        self, name: str, archive: Readable, *, takes_devices: bool
    ) -> VolumeSnapshot:
        """Unpack an archive beside a volume's present; what the present will be kept as.

        Raises: as `plain`; ArchiveRefused, StepFailed.
        """
        self.plain(name)
        with self.trees.noted(self.trees.fresh(name)):
            self.trees.unpack(archive, self.trees.fresh(name), takes_devices=takes_devices)
        return self._aside(name, "before-import")

    def put_in_place(self, aside: VolumeSnapshot) -> None:
        """Let what was prepared become the present, and the present a snapshot.

        Nobody may have it mounted. Raises: StepFailed; then all is as before.
        """
        name, fresh = aside.volume, self.trees.fresh(aside.volume)
        present, kept = self.trees.present(name), self.trees.kept(name, aside.name)
        os.makedirs(os.path.dirname(kept), 0o700, exist_ok=True)
        self._table.add_snapshot(aside, pending=True)
        try:
            perform(
                MoveVolume(why=f"what {name} was is kept", source=present, target=kept),
                MoveVolume(why=f"volume {name} is replaced", source=fresh, target=present),
            )
        except BaseException:
            self._table.remove_snapshot(aside, tree=fresh)
            raise
        self._table.add_snapshot(aside, tree=fresh)

    def discard_prepared(self, name: str) -> None:
        """What was prepared is not wanted."""
        self.trees.remove(self.trees.fresh(name), f"volume {name} stays as it is")

    # -- new volumes -------------------------------------------------------------------------

    def clone(self, name: str, label: str, spec: VolumeSpec) -> Volume:
        """A new volume that is like a snapshot, or like the present.

        Raises: as `snapshot`; VolumeExists, StepFailed.
        """
        source = self.place(name, label)
        why = f"volume {spec.name} is a clone of {name}"
        return self._made(spec, lambda target: self.trees.copy(source, target, why))

    def make_of_archive(
        self, spec: VolumeSpec, archive: Readable, *, takes_devices: bool
    ) -> Volume:
        """A volume with an archive's files. Raises: VolumeExists, ArchiveRefused, StepFailed."""
        return self._made(
            spec, lambda target: self.trees.unpack(archive, target, takes_devices=takes_devices)
        )

    def _made(self, spec: VolumeSpec, fill: Callable[[str], object]) -> Volume:
        place, staged = self.trees.place(spec.name), self.trees.staged(spec.name)
        self._refuse_taken(spec.name)
        with self.trees.noted(staged):
            os.mkdir(staged, 0o701)
            fill(f"{staged}/_data")
            self._refuse_taken(spec.name)
            perform(MoveVolume(why=f"volume {spec.name} is whole", source=staged, target=place))
            volume = Volume(
                name=spec.name,
                driver=LOCAL,
                mount_point=f"{place}/_data",
                created_at_ns=self._clock.now_ns(),
                labels=dict(spec.labels),
            )
            self._table.add(volume, tree=staged)
        return volume

    def _refuse_taken(self, name: str) -> None:
        if self._table.get(name) is not None or os.path.lexists(self.trees.place(name)):
            raise VolumeExists(name)

    # -- another name ------------------------------------------------------------------------

    def rename(self, name: str, new_name: str) -> Volume:
        """Give a volume another name; from `begin_rename` on a boot finishes it.

        Doing it twice is doing it once. Raises: StepFailed.
        """
        old, new = self.trees.place(name), self.trees.place(new_name)
        if os.path.lexists(old):
            perform(MoveVolume(why=f"volume {name} is called {new_name}", source=old, target=new))
        volume = self._table.get(name)
        if volume is None:
            return self._table.require(new_name)
        renamed = replace(volume, name=new_name, mount_point=f"{new}/_data")
        self._table.rename(renamed, name)
        return renamed

    # -- inside ------------------------------------------------------------------------------

    def place(self, name: str, label: str) -> str:
        """Where a snapshot is, or the present. Raises: as `snapshot`."""
        if label in ("", PRESENT):
            return self.plain(name).mount_point
        self.snapshot(name, label)
        return self.trees.kept(name, label)

    def _aside(self, name: str, stem: str) -> VolumeSnapshot:
        """The present, which nobody writes to when it is put aside, as a snapshot."""
        return VolumeSnapshot(
            volume=name,
            name=self.free_label(name, "", default=stem[:120]),
            created_at_ns=self._clock.now_ns(),
            method=SnapshotMethod.MOVED,
            consistency=Consistency.STOP,
        )


def _by_time(now_ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(now_ns // NANOSECONDS, UTC).strftime("%Y%m%d-%H%M%S")


def _numbered(stem: str) -> Iterator[str]:
    """A name, then the name with 2, 3 and so on."""
    yield stem
    yield from (f"{stem}-{number}" for number in count(2))
