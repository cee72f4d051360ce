"""The trees of volumes' histories: where they are, how one is made, what a boot does with half.

    volumes/NAME/_data             what containers have mounted
    volumes/NAME/snapshots/LABEL   how it was once
    volumes/NAME/.fresh            a tree on its way to become `_data`
    volumes/.new-NAME/_data        a volume on its way to become one

On btrfs each of these is a subvolume, and making one like another is one call, at one moment,
whatever its size. Elsewhere the tree is copied file by file, and files share their blocks where
the file system can.

Every tree is noted in the database before it is made and settled by the row that gives it a
meaning (`VolumeTable`), so that after a power cut what was half made is removed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wherry.linux import btrfs
from wherry.linux.files import open_directory, syncfs
from wherry.model.volumes import SnapshotMethod
from wherry.operations.files.tree_copy import copy_directory
from wherry.operations.files.volume_history import CopyVolume, MoveVolume
from wherry.operations.files.volumes import RemoveVolume, make_volume_tree
from wherry.operations.plan import Evidence
from wherry.snapshots import (
    Readable,
    TarReader,
    UnpackRules,
    decompressed,
    perform,
    unpack_tar,
)
from wherry.volumes.volume_table import VolumeTable

_SUBVOLUME = 256
"""The inode number of a subvolume's root (BTRFS_FIRST_FREE_OBJECTID)."""
_NEW = ".new-"


class VolumeTrees:
    """Makes and removes them. Blocking; the caller sees to it that each volume has one verb."""

    def __init__(self, directory: str, table: VolumeTable) -> None:
        self._directory = directory
        self._table = table

    def place(self, name: str) -> str:
        """A volume's directory."""
        return f"{self._directory}/{name}"

    def staged(self, name: str) -> str:
        """The directory of a volume that is on its way to become one."""
        return f"{self._directory}/{_NEW}{name}"

    def present(self, name: str) -> str:
        """What containers have mounted."""
        return f"{self._directory}/{name}/_data"

    def fresh(self, name: str) -> str:
        """The tree that is on its way to become the present."""
        return f"{self._directory}/{name}/.fresh"

    def kept(self, name: str, label: str) -> str:
        """A snapshot."""
        return f"{self._directory}/{name}/snapshots/{label}"

    @contextmanager
    def noted(self, tree: str) -> Iterator[None]:
        """A tree that is removed again unless a row settles it, now or at the next boot."""
        parent = os.path.dirname(tree)
        if os.path.basename(parent) == "snapshots":
            os.makedirs(parent, 0o700, exist_ok=True)
        self._table.note_tree(tree)
        self.remove(tree, "it was left", settles=False)
        try:
            yield
        except BaseException:
            with suppress(OSError):
                self.remove(tree, "making it failed")
            raise

    def copy(self, source: str, target: str, why: str) -> Evidence:
        """Make a tree like another one, and have it on the disk. Raises: StepFailed."""

        def work() -> Evidence:
            beside = os.path.dirname(target)
            with open_directory(source) as tree, open_directory(beside) as parent:
                done = _copied(tree, parent, target)
                syncfs(parent)
            return done

        (entry,) = perform(CopyVolume(why=why, source=source, target=target, work=work))
        return entry.evidence

    def unpack(self, archive: Readable, target: str, *, takes_devices: bool) -> None:
        """Make a tree of an archive's files, on the disk. Raises: ArchiveRefused, StepFailed."""
        rules = UnpackRules(is_whole_tree=True, takes_devices=takes_devices)

        def work() -> Evidence:
            make_volume_tree(target)
            with open_directory(target) as root:
                counts = unpack_tar(TarReader(decompressed(archive)[1]), root, b"/", rules)
                syncfs(root)
            return {"files": counts.files, "bytes": counts.content_bytes}

        perform(CopyVolume(why="it is imported", source="an archive", target=target, work=work))

    def remove(self, tree: str, why: str, *, settles: bool = True) -> None:
        """Remove a tree, and what was noted of it. None is there: no error. Raises: StepFailed."""
        if os.path.lexists(tree):
            perform(RemoveVolume(why=why, directory=tree))
        if settles:
            self._table.settle_tree(tree)

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
                self.remove(path, "it was half made")

    def _settle_fresh(self, name: str) -> None:
        fresh, present = self.fresh(name), self.present(name)
        pending = self._table.snapshots(name, pending=True)
        if os.path.lexists(fresh) and os.path.lexists(present):
            for each in pending:
                self._table.remove_snapshot(each, tree=fresh)
            self.remove(fresh, "its rollback had not begun")
            return
        if os.path.lexists(fresh):
            perform(MoveVolume(why="its rollback had begun", source=fresh, target=present))
        for each in pending:
            self._table.add_snapshot(each)
        self._table.settle_tree(fresh)

    def _settle_new(self, name: str) -> None:
        staged, place = self.staged(name), self.place(name)
        if not os.path.lexists(staged) and self._table.get(name) is None:
            # It was whole and had its name; what it lacks is whom to tell.
            self.remove(place, "nobody was told of it")
        self.remove(staged, "it was half made")


def _copied(tree: int, parent: int, target: str) -> Evidence:
    """Make a directory like an open one. Raises: OSError."""
    if btrfs.is_btrfs(parent) and os.fstat(tree).st_ino == _SUBVOLUME:
        btrfs.create_snapshot(tree, parent, os.path.basename(target))
        return {"files": -1, "bytes": -1, "method": SnapshotMethod.BTRFS.value}
    make_volume_tree(target)
    with open_directory(target) as made:
        done = copy_directory(tree, made)
    is_shared = done["bytes"] and done["shared"] == done["bytes"]
    method = SnapshotMethod.REFLINK if is_shared else SnapshotMethod.COPY
    return {**done, "method": method.value}
