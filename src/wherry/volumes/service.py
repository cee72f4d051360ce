"""Every volume of an engine, whichever driver keeps it."""

import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from wherry.kit.clock import Clock
from wherry.kit.random_ids import new_id
from wherry.kit.values import replace
from wherry.model.errors import StepFailed
from wherry.model.errors.plugins import PluginFailed
from wherry.model.errors.volumes import (
    VolumeDriverNotFound,
    VolumeExists,
    VolumeMounted,
    VolumeNameTaken,
    VolumeNotFound,
)
from wherry.model.volumes import ANONYMOUS_LABEL, LOCAL, Volume, VolumeSnapshot, VolumeSpec
from wherry.operations.plan import Journal
from wherry.plugins import PluginHost
from wherry.snapshots import file_sizes
from wherry.store import Database
from wherry.volumes.drivers import VolumeDrivers
from wherry.volumes.filling import fill, is_empty
from wherry.volumes.local import LocalDriver
from wherry.volumes.volume_table import VolumeTable

if TYPE_CHECKING:
    from wherry.volumes.history import VolumeHistory

_log = logging.getLogger(__name__)


class Volumes:
    """Makes, finds, mounts and removes volumes. Blocking; from any thread.

    A volume is mounted while somebody holds it. Holders are containers that run; they are known
    to this process only, and told again at boot.
    """

    def __init__(
        self, data_root: str, database: Database, clock: Clock, plugins: PluginHost | None = None
    ) -> None:
        """Take over `volumes` of the data root, which is made if missing."""
        directory = f"{data_root}/volumes"
        os.makedirs(directory, mode=0o701, exist_ok=True)
        self._directory = directory
        self._database = database
        self._clock = clock
        self._table = VolumeTable(database)
        self._drivers = VolumeDrivers(LocalDriver(directory), plugins or PluginHost())
        self._holders: dict[str, set[str]] = {}
        self._changing = threading.RLock()

    # -- looking -----------------------------------------------------------------------------

    def all(self) -> Sequence[Volume]:
        """Every volume, by name."""
        return [volume for _name, volume in sorted(self._table.all().items())]

    def get(self, name: str) -> Volume:
        """One volume. Raises: VolumeNotFound."""
        return self._table.require(name)

    def described(self, name: str) -> Volume:
        """One volume, with what its plugin has to say of it; also one that only a plugin knows.

        Raises: VolumeNotFound.
        """
        volume = self._table.get(name) or self._drivers.elsewhere(name)
        if volume is None:
            raise VolumeNotFound(name)
        if volume.driver == LOCAL or volume.status:
            return volume
        found = self._drivers.plugin(name, volume.driver).find(name)
        return replace(volume, status=bytes(found.Status) if found is not None else b"")

    def everywhere(self) -> Sequence[Volume]:
        """Every volume by name, with those that only the plugins know that were used so far."""
        found = dict(self._table.all())
        for each in self._drivers.all_elsewhere(found):
            found.setdefault(each.name, each)
        return [volume for _name, volume in sorted(found.items())]

    def drivers(self) -> Sequence[str]:
        """The names of the drivers that are here."""
        return self._drivers.names()

    def size_of(self, volume: Volume) -> int:
        """The bytes of its files, each inode once; -1 for one that isn't a plain directory."""
        if volume.driver != LOCAL or volume.options.get("type"):
            return -1
        return sum(file_sizes(volume.mount_point))

    # -- changing ----------------------------------------------------------------------------

    def check(self, spec: VolumeSpec) -> None:
        """Refuse what `make` would refuse.

        Raises: InvalidValue, VolumeNameTaken, VolumeDriverNotFound.
        """
        existing = self._table.get(spec.name)
        if existing is None:
            driver = self._drivers.find(spec.name, spec.driver or LOCAL)
            if spec.name:
                driver.check(spec.name, spec.options)
        elif spec.driver and existing.driver != self._drivers.find(spec.name, spec.driver).name:
            raise VolumeNameTaken(spec.name, existing.driver)

    def make(self, spec: VolumeSpec) -> tuple[Volume, bool]:
        """The volume of a name, made if it isn't there; and whether it was made.

        Raises: as `check`, StepFailed.
        """
        with self._changing:
            self.check(spec)
            existing = self._table.get(spec.name)
            if existing is not None:
                return existing, False
            name, labels = spec.name, dict(spec.labels)
            if not name:
                name = new_id()
                labels[ANONYMOUS_LABEL] = ""
            known = self._drivers.elsewhere(name) if spec.name and not spec.driver else None
            if known is not None:
                adopted = replace(known, mount_point="", status=b"")
                self._table.add(adopted)
                return adopted, False
            driver = self._drivers.find(name, spec.driver or LOCAL)
            driver.check(name, spec.options)
            volume = Volume(
                name=name,
                driver=driver.name,
                mount_point=driver.make(name, spec.options),
                created_at_ns=self._clock.now_ns(),
                options=dict(spec.options),
                labels=labels,
                scope=driver.scope(),
            )
            self._table.add(volume)
            return volume, True

    def remove(self, name: str) -> Volume:
        """Remove a volume and its files. Raises: VolumeNotFound, StepFailed."""
        with self._changing:
            volume = self.get(name)
            driver = self._drivers.find(name, volume.driver)
            # Of what its options mount no boot may remove anything.
            is_plain = volume.driver == LOCAL and not volume.options.get("type")
            tree = f"{self._directory}/{name}" if is_plain else ""
            self._table.remove(name, tree=tree)
            try:
                driver.remove(volume)
            except StepFailed:
                # It is there still, and may be removed again.
                self._table.add(volume, tree=tree)
                raise
            if tree:
                self._table.settle_tree(tree)
            return volume

    # -- history -----------------------------------------------------------------------------

    @cached_property
    def history(self) -> "VolumeHistory":
        """What volumes were, and copies of them."""
        from wherry.volumes.history import VolumeHistory  # seldom wanted: not in memory before

        return VolumeHistory(self._directory, self._table, self._clock)

    def check_new_name(self, name: str) -> None:
        """Refuse a name for a new volume of ours. Raises: InvalidValue, VolumeExists."""
        self._drivers.local.check(name, {})
        if self._table.get(name) is not None:
            raise VolumeExists(name)

    def refuse_mounted(self, name: str) -> None:
        """Raises: VolumeMounted when somebody holds it."""
        if holders := self._holders.get(name):
            raise VolumeMounted(name, tuple(sorted(holders)))

    def put_in_place(self, aside: VolumeSnapshot) -> None:
        """Let what was prepared become a volume's present. Raises: VolumeMounted, StepFailed."""
        with self._changing:
            self.refuse_mounted(aside.volume)
            self.history.put_in_place(aside)

    def rename(self, name: str, new_name: str) -> Volume:
        """Give a volume another name; whoever has it mounted keeps it.

        Those who name it are the engine's: `end_rename` when they are told.
        Raises: InvalidValue, VolumeExists, StepFailed.
        """
        with self._changing:
            self.history.plain(name)
            self.check_new_name(new_name)
            self._table.begin_rename(name, new_name)
            try:
                renamed = self.history.rename(name, new_name)
            except StepFailed:
                self._table.end_rename(name)
                raise
            if name in self._holders:
                self._holders[new_name] = self._holders.pop(name)
            return renamed

    def end_rename(self, name: str) -> None:
        """Everybody knows the new name."""
        self._table.end_rename(name)

    def heal(self) -> Mapping[str, Volume]:
        """At boot: settle what was in the middle of something.

        Returns volumes that have another name now, by the old ones; `end_rename` follows.
        Raises: StepFailed.
        """
        with self._changing:
            self._compare_with_disk()
            if self._table.unsettled_trees():
                self.history.trees.heal()
            renames = self._table.renames().items()
            return {old: self.history.rename(old, new) for old, new in renames}

    def _compare_with_disk(self) -> None:
        """Tell of volumes whose files are gone; after a loss of rows find volumes by theirs."""
        damages = self._database.damages
        for volume in self.all():
            if volume.driver == LOCAL and not os.path.isdir(volume.mount_point):
                damages.note(
                    f"volume {volume.name}",
                    f"there is no {volume.mount_point}",
                    "put it back, or remove the volume",
                )
        has_lost = self._database.has_lost
        for name in sorted(set(os.listdir(self._directory)) - self._table.all().keys()):
            place = f"{self._directory}/{name}/_data"
            if not has_lost:
                for half_made in (place, os.path.dirname(place)):
                    with contextlib.suppress(OSError):  # as far as it is empty
                        os.rmdir(half_made)
            elif os.path.isdir(place):
                made_at_ns = os.stat(place).st_ctime_ns
                self._table.add(
                    Volume(name=name, driver=LOCAL, mount_point=place, created_at_ns=made_at_ns)
                )
                damages.note(f"volume {name}", "its row was lost", "it was found by its files")

    # -- use ---------------------------------------------------------------------------------

    def hold(self, name: str, holder: str) -> Journal:
        """Have a volume mounted as long as the holder has it.

        Raises: VolumeNotFound, StepFailed.
        """
        with self._changing:
            volume = self.get(name)
            driver = self._drivers.find(name, volume.driver)
            done = driver.mount(volume)
            self._note_place(volume, driver.place(volume))
            self._holders.setdefault(name, set()).add(holder)
            return done

    def release(self, name: str, holder: str) -> None:
        """Let go of a volume; the last one to do so unmounts it. Raises: StepFailed."""
        with self._changing:
            holders = self._holders.get(name, set())
            holders.discard(holder)
            volume = self._table.get(name)
            if not holders:
                self._holders.pop(name, None)
                if volume is not None:
                    self._let_go(volume)

    def take_over(self, held: Mapping[str, set[str]]) -> None:
        """At boot: who holds which volume; what nobody holds is unmounted. Raises: StepFailed."""
        with self._changing:
            self._holders = {name: set(holders) for name, holders in held.items() if holders}
            for volume in self.all():
                if volume.name in self._holders or not volume.mount_point:
                    continue
                try:
                    self._let_go(volume)
                except (StepFailed, VolumeDriverNotFound, PluginFailed) as error:
                    if volume.driver == LOCAL:
                        raise
                    _log.warning("volume.not_unmounted volume=%s: %s", volume.name, error)

    def _let_go(self, volume: Volume) -> None:
        driver = self._drivers.find(volume.name, volume.driver)
        driver.unmount(volume)
        if volume.driver != LOCAL:
            self._note_place(volume, "")

    def _note_place(self, volume: Volume, place: str) -> None:
        """Where a volume is; a plugin's is nowhere while nobody has it mounted."""
        if place != volume.mount_point:
            self._table.add(replace(volume, mount_point=place))

    def is_empty(self, volume: Volume) -> bool:
        """Whether nothing was ever written to it, as it is mounted now."""
        return is_empty(self.get(volume.name))

    def fill(self, volume: Volume, root: int, path: str) -> Journal:
        """Copy what a container's root has at a path into an empty volume. Raises: as `fill`."""
        return fill(self.get(volume.name), root, path)
