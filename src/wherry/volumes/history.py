"""The history of volumes: snapshots of a volume's files, and volumes made of other ones.

    volumes/NAME/_data             what containers have mounted
    volumes/NAME/snapshots/LABEL   how it was once
    volumes/NAME/.fresh            a tree on its way to become `_data`
    volumes/.new-NAME/_data        a volume on its way to become one

On btrfs each of these is a subvolume, and taking a snapshot is one call, at one moment, whatever
its size. Elsewhere the tree is copied file by file, and files share their blocks where the file
system can. Whoever writes meanwhile may be seen half: the snapshot's record says how it was
taken and who wrote.

Every tree is noted in the database before it is made and settled by the row that gives it a
meaning (`VolumeTable`), so that after a power cut what was half made is removed. A rollback puts
what it displaces aside as a snapshot first: nothing is ever lost by one.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count

from wherry.kit.clock import Clock
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import replace
from wherry.linux import btrfs
from wherry.linux.files import syncfs
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
from wherry.operations.files.tree_copy import copy_directory
from wherry.operations.files.volume_history import CopyVolume, MoveVolume
from wherry.operations.files.volumes import RemoveVolume, make_volume_tree
from wherry.operations.plan import Evidence
from wherry.snapshots import (
    Readable,
    TarReader,
    UnpackRules,
    Writable,
    decompressed,
    perform,
    tree_tar,
    unpack_tar,
)
from wherry.volumes.comparison import changes_between
from wherry.volumes.volume_table import VolumeTable

_LABEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_SUBVOLUME = 256
"""The inode number of a subvolume's root (BTRFS_FIRST_FREE_OBJECTID)."""
_NEW = ".new-"


class VolumeHistory:
    """Trees of volumes. Blocking; the caller sees to it that each volume has one verb at a time.

    `Volumes` does what needs to know who has a volume mounted.
    """

    def __init__(self, directory: str, table: VolumeTable, clock: Clock) -> None:
        self._directory = directory
        self._table = table
        self._clock = clock

    # -- looking -----------------------------------------------------------------------------

    def plain(self, name: str) -> Volume:
        """A volume that can have a history. Raises: VolumeNotFound, VolumeHasNoHistory."""
        volume = self._table.require(name)
        if volume.driver != LOCAL:
            raise VolumeHasNoHistory(name, f"the driver {volume.driver} keeps its files")
        if volume.options:
            kind = volume.options.get("type", "")
            raise VolumeHasNoHistory(name, f"its options mount something on it (type={kind})")
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
        with _opened(self._place(name, older)) as one, _opened(self._place(name, newer)) as two:
            return changes_between(one, two)

    def pack(self, name: str, label: str, out: Writable) -> None:
        """Write a snapshot, or the present, as a tar. Raises: as `snapshot`; StepFailed."""
        with _opened(self._place(name, label)) as root:
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
        target = self._snapshot_place(name, label)
        with self._noted(target):
            done = self._copy(volume.mount_point, target, f"snapshot {label} of volume {name}")
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
            if label in taken:
                raise VolumeSnapshotExists(name, label)
            return label
        stem = default or _by_time(self._clock.now_ns())
        return next(each for each in _numbered(stem) if each not in taken)

    def forget(self, name: str, label: str) -> None:
        """Remove a snapshot. Raises: as `snapshot`; StepFailed."""
        place = self._snapshot_place(name, label)
        self._table.remove_snapshot(self.snapshot(name, label), tree=place)
        self._remove(place, f"snapshot {label} of volume {name} is removed")

    # -- what becomes a volume's present -----------------------------------------------------

    def prepare_rollback(self, name: str, label: str) -> VolumeSnapshot:
        """Copy a snapshot to where it can be put in place; what the present will be kept as.

        Raises: as `snapshot`; StepFailed.
        """
        self.snapshot(name, label)
        with self._noted(self._fresh(name)):
            source = self._snapshot_place(name, label)
            self._copy(source, self._fresh(name), f"volume {name} goes back to {label}")
        return self._aside(name, f"before-{label}")

    def prepare_import(
        self, name: str, archive: Readable, *, takes_devices: bool
    ) -> VolumeSnapshot:
        """Unpack an archive beside a volume's present; what the present will be kept as.

        Raises: as `plain`; ArchiveRefused, StepFailed.
        """
        self.plain(name)
        with self._noted(self._fresh(name)):
            self._unpack(archive, self._fresh(name), takes_devices=takes_devices)
        return self._aside(name, "before-import")

    def put_in_place(self, aside: VolumeSnapshot) -> None:
        """Let what was prepared become the present, and the present a snapshot.

        Nobody may have it mounted. Raises: StepFailed; then all is as before.
        """
        name, fresh = aside.volume, self._fresh(aside.volume)
        present, kept = self._present(name), self._snapshot_place(name, aside.name)
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
        self._remove(self._fresh(name), f"volume {name} stays as it is")

    # -- new volumes -------------------------------------------------------------------------

    def clone(self, name: str, label: str, spec: VolumeSpec) -> Volume:
        """A new volume that is like a snapshot, or like the present.

        Raises: as `snapshot`; VolumeExists, StepFailed.
        """
        source = self._place(name, label)
        why = f"volume {spec.name} is a clone of {name}"
        return self._made(spec, lambda target: self._copy(source, target, why))

    def make_of_archive(
        self, spec: VolumeSpec, archive: Readable, *, takes_devices: bool
    ) -> Volume:
        """A volume with an archive's files. Raises: VolumeExists, ArchiveRefused, StepFailed."""
        return self._made(
            spec, lambda target: self._unpack(archive, target, takes_devices=takes_devices)
        )

    def _made(self, spec: VolumeSpec, fill: Callable[[str], object]) -> Volume:
        place, staged = f"{self._directory}/{spec.name}", f"{self._directory}/{_NEW}{spec.name}"
        self._refuse_taken(spec.name)
        with self._noted(staged):
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
        if self._table.get(name) is not None or os.path.lexists(f"{self._directory}/{name}"):
            raise VolumeExists(name)

    # -- another name ------------------------------------------------------------------------

    def rename(self, name: str, new_name: str) -> Volume:
        """Give a volume another name; from `begin_rename` on a boot finishes it.

        Doing it twice is doing it once. Raises: StepFailed.
        """
        old, new = f"{self._directory}/{name}", f"{self._directory}/{new_name}"
        if os.path.lexists(old):
            perform(MoveVolume(why=f"volume {name} is called {new_name}", source=old, target=new))
        volume = self._table.get(name)
        if volume is None:
            return self._table.require(new_name)
        renamed = replace(volume, name=new_name, mount_point=f"{new}/_data")
        self._table.rename(renamed, name)
        return renamed

    # -- after a power cut -------------------------------------------------------------------

    def heal(self) -> None:
        """At boot: remove what was half made, and finish a rollback that had begun its moves.

        Raises: StepFailed.
        """
        for path in self._table.unsettled_trees():
            directory, base = os.path.split(path)
            if base == ".fresh":
                self._settle_fresh(os.path.basename(directory))
            elif base.startswith(_NEW):
                self._settle_new(base.removeprefix(_NEW))
            else:
                self._remove(path, "it was half made")

    def _settle_fresh(self, name: str) -> None:
        fresh, present = self._fresh(name), self._present(name)
        pending = self._table.snapshots(name, pending=True)
        if os.path.lexists(fresh) and os.path.lexists(present):
            for each in pending:
                self._table.remove_snapshot(each, tree=fresh)
            self._remove(fresh, "its rollback had not begun")
            return
        if os.path.lexists(fresh):
            perform(MoveVolume(why="its rollback had begun", source=fresh, target=present))
        for each in pending:
            self._table.add_snapshot(each)
        self._table.settle_tree(fresh)

    def _settle_new(self, name: str) -> None:
        staged, place = f"{self._directory}/{_NEW}{name}", f"{self._directory}/{name}"
        if not os.path.lexists(staged) and self._table.get(name) is None:
            # It was whole and had its name; what it lacks is whom to tell.
            self._remove(place, "nobody was told of it")
        self._remove(staged, "it was half made")

    # -- inside ------------------------------------------------------------------------------

    def _present(self, name: str) -> str:
        return f"{self._directory}/{name}/_data"

    def _fresh(self, name: str) -> str:
        return f"{self._directory}/{name}/.fresh"

    def _snapshot_place(self, name: str, label: str) -> str:
        return f"{self._directory}/{name}/snapshots/{label}"

    def _place(self, name: str, label: str) -> str:
        if not label:
            return self.plain(name).mount_point
        self.snapshot(name, label)
        return self._snapshot_place(name, label)

    def _aside(self, name: str, stem: str) -> VolumeSnapshot:
        """The present, which nobody writes to when it is put aside, as a snapshot."""
        return VolumeSnapshot(
            volume=name,
            name=self.free_label(name, "", default=stem[:120]),
            created_at_ns=self._clock.now_ns(),
            method=SnapshotMethod.MOVED,
            consistency=Consistency.STOP,
        )

    @contextmanager
    def _noted(self, tree: str) -> Iterator[None]:
        """A tree that is removed again unless a row settles it, now or at the next boot."""
        parent = os.path.dirname(tree)
        if os.path.basename(parent) == "snapshots":
            os.makedirs(parent, 0o700, exist_ok=True)
        self._table.note_tree(tree)
        self._remove(tree, "it was left", settles=False)
        try:
            yield
        except BaseException:
            with suppress(OSError):
                self._remove(tree, "making it failed")
            raise

    def _copy(self, source: str, target: str, why: str) -> Evidence:
        """Make a tree like another one, and have it on the disk. Raises: StepFailed."""

        def work() -> Evidence:
            with _opened(source) as tree, _opened(os.path.dirname(target)) as parent:
                done = _copied(tree, parent, target)
                syncfs(parent)
            return done

        (entry,) = perform(CopyVolume(why=why, source=source, target=target, work=work))
        return entry.evidence

    def _unpack(self, archive: Readable, target: str, *, takes_devices: bool) -> None:
        rules = UnpackRules(is_whole_tree=True, takes_devices=takes_devices)

        def work() -> Evidence:
            make_volume_tree(target)
            with _opened(target) as root:
                counts = unpack_tar(TarReader(decompressed(archive)[1]), root, b"/", rules)
                syncfs(root)
            return {"files": counts.files, "bytes": counts.content_bytes}

        perform(CopyVolume(why="it is imported", source="an archive", target=target, work=work))

    def _remove(self, tree: str, why: str, *, settles: bool = True) -> None:
        if os.path.lexists(tree):
            perform(RemoveVolume(why=why, directory=tree))
        if settles:
            self._table.settle_tree(tree)


def _copied(tree: int, parent: int, target: str) -> Evidence:
    """Make a directory like an open one. Raises: OSError."""
    if btrfs.is_btrfs(parent) and os.fstat(tree).st_ino == _SUBVOLUME:
        btrfs.create_snapshot(tree, parent, os.path.basename(target))
        return {"files": -1, "bytes": -1, "method": SnapshotMethod.BTRFS.value}
    make_volume_tree(target)
    with _opened(target) as made:
        done = copy_directory(tree, made)
    is_shared = done["bytes"] and done["shared"] == done["bytes"]
    method = SnapshotMethod.REFLINK if is_shared else SnapshotMethod.COPY
    return {**done, "method": method.value}


@contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _by_time(now_ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(now_ns // NANOSECONDS, UTC).strftime("%Y%m%d-%H%M%S")


def _numbered(stem: str) -> Iterator[str]:
    """A name, then the name with 2, 3 and so on."""
    yield stem
    yield from (f"{stem}-{number}" for number in count(2))
