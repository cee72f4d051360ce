"""The volumes of containers: which ones a new container gets, and who holds them while it runs.

What a container has mounted comes from four wishes, of which a later one never displaces an
earlier one's place: `-v` and `--mount`, `--volumes-from`, then `-v /path` and the image's VOLUME.
All of it is settled when the container is created. Its record names every volume, so that the
records say which volumes are in use.
"""

import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.values import replace
from wherry.linux.files import open_directory, open_in_root
from wherry.model.containers import (
    BindMount,
    Container,
    ContainerSpec,
    ImageMount,
    MountSpec,
    TmpfsMount,
    VolumeMount,
)
from wherry.model.errors import InvalidValue, StepFailed
from wherry.model.errors.containers import ContainerNotFound
from wherry.model.errors.volumes import VolumeDriverNotFound, VolumeInUse, VolumeNotFound
from wherry.model.ids import ContainerId
from wherry.model.volumes import Volume, VolumeSpec
from wherry.oci.runtime_spec import RootfsMount
from wherry.tasks import Tasks
from wherry.volumes import Volumes


class ContainerVolumes:
    """Between the records of containers and the volumes."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        volumes: Volumes,
        tasks: Tasks,
        events: EventLog,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._volumes = volumes
        self._tasks = tasks
        self._events = events
        self._offload = offload
        self._being_given: Counter[str] = Counter()
        """Volumes of containers that have no record yet: nobody may remove them meanwhile."""

    # -- who has what ------------------------------------------------------------------------

    def users_of(self, name: str) -> tuple[ContainerId, ...]:
        """The containers that have a volume, running or not."""
        return tuple(
            each.id for each in self._records.all() if name in volume_names(each.spec.mounts)
        )

    def is_in_use(self, name: str) -> bool:
        """Whether a container has it, or one that is just being created will."""
        return bool(self._being_given[name]) or bool(self.users_of(name))

    async def remove(self, name: str) -> Volume:
        """Remove a volume that no container has. Raises: VolumeNotFound, VolumeInUse."""
        self._volumes.get(name)
        if self.is_in_use(name):
            raise VolumeInUse(name, self.users_of(name))
        volume = await self._offload(self._volumes.remove, name)
        self._events.publish("volume", "destroy", name, {"driver": volume.driver})
        return volume

    @contextmanager
    def kept(self, name: str) -> Iterator[None]:
        """Nobody removes a volume meanwhile."""
        self._being_given[name] += 1
        try:
            yield
        finally:
            self._no_longer_given(name)

    async def rename(self, name: str, new_name: str) -> Volume:
        """Give a volume another name, and tell every container that has it, running or not.

        Preconditions: the locks of those containers.
        Raises: as `Volumes.rename`; VolumeInUse by one that is just being created.
        """
        if self._being_given[name]:
            raise VolumeInUse(name, ("a container that is being created",))
        volume = await self._offload(self._volumes.rename, name, new_name)
        await self._tell_new_name(name, volume)
        return volume

    async def _tell_new_name(self, old: str, volume: Volume) -> None:
        for container in list(self._records.all()):
            if old in volume_names(container.spec.mounts):
                mounts = tuple(_renamed(each, old, volume) for each in container.spec.mounts)
                spec = replace(container.spec, mounts=mounts)
                await self._records.replace(replace(container, spec=spec))
        await self._offload(self._volumes.end_rename, old)

    async def make(self, spec: VolumeSpec) -> Volume:
        """The volume of a name, made if need be. Raises: as `Volumes.make`."""
        volume, is_new = await self._offload(self._volumes.make, spec)
        if is_new:
            self._events.publish("volume", "create", volume.name, {"driver": volume.driver})
        return volume

    # -- creation ----------------------------------------------------------------------------

    def planned(self, spec: ContainerSpec) -> ContainerSpec:
        """All mounts that the wishes come to; volumes may still be without name and source.

        Raises: InvalidValue, AmbiguousReference; VolumeNameTaken, HostLacks.
        """
        mounts = list(spec.mounts)
        taken = {_place(each) for each in mounts}
        for wish in spec.volumes_from:
            inherited = {_place(each): each for each in self._inherited(wish)}
            mounts = [each for each in mounts if _place(each) not in inherited or not _came(each)]
            mounts += [each for place, each in inherited.items() if place not in taken]
        taken = {_place(each) for each in mounts}
        mounts += [
            VolumeMount(target=place, driver=spec.volume_driver, is_anonymous=True)
            for place in dict.fromkeys(map(_clean, spec.declared_volumes))
            if place not in taken
        ]
        mounts = [
            msgspec.structs.replace(each, driver=spec.volume_driver)
            if isinstance(each, VolumeMount) and not (each.driver or each.from_mount_flag)
            else each
            for each in mounts
        ]
        for each in mounts:
            if isinstance(each, VolumeMount):
                self._check(each)
        return replace(spec, mounts=tuple(mounts))

    def _check(self, mount: VolumeMount) -> None:
        try:
            self._volumes.check(
                VolumeSpec(name=mount.name, driver=mount.driver, options=mount.options)
            )
        except VolumeDriverNotFound as error:
            # Not a 404: to a client that would be the image.
            created = f"create {mount.name}: " if mount.name else ""
            raise InvalidValue(
                f"{created}error looking up volume plugin {error.driver}: "
                f'plugin "{error.driver}" not found'
            ) from error

    def _inherited(self, wish: str) -> Iterator[MountSpec]:
        """The volumes and binds of another container, as `--volumes-from` wants them."""
        reference, colon, mode = wish.partition(":")
        words = mode.split(",") if mode else []
        if not reference or (colon and not words):
            raise InvalidValue(f"malformed volumes-from specification: {wish}")
        if set(words) - {"ro", "rw", "z", "Z"} or {"ro", "rw"} <= set(words):
            raise InvalidValue(f'invalid mode for volumes-from: "{mode}"')
        try:
            owner = self._records.find(reference)
        except ContainerNotFound as error:
            # Not a 404: to a client that would be the image.
            raise InvalidValue(f"No such container: {reference}") from error
        for mount in owner.spec.mounts:
            is_read_only = mount_is_read_only(mount) if not words else "ro" in words
            match mount:
                case VolumeMount():
                    yield msgspec.structs.replace(
                        mount,
                        is_read_only=is_read_only,
                        mode=mode or mount.mode,
                        copies_image=False,
                        written_as=None,
                        from_mount_flag=False,
                    )
                case BindMount():
                    yield msgspec.structs.replace(
                        mount, is_read_only=is_read_only, written_as=None, is_inherited=True
                    )
                case TmpfsMount() | ImageMount():
                    pass

    async def give(
        self, spec: ContainerSpec, rootfs: RootfsMount, owner: ContainerId, undo: UndoStack
    ) -> ContainerSpec:
        """Make the volumes that are not there, and fill the empty ones from the image.

        From here on nobody removes them; `given` is called when the record says so itself. What
        was made is removed again when the creation fails.

        Raises: as `Volumes.make`; InvalidValue, StartFailed, StepFailed.
        """
        mounts: list[MountSpec] = []
        fresh: list[tuple[VolumeMount, Volume]] = []
        for mount in spec.mounts:
            if not isinstance(mount, VolumeMount):
                mounts.append(mount)
                continue
            known = {each.name for each in self._volumes.all()}
            volume = await self.make(
                VolumeSpec(
                    name=mount.name,
                    driver="" if mount.name in known else mount.driver,
                    options=mount.options,
                    labels=mount.labels,
                )
            )
            self._being_given[volume.name] += 1
            undo.push(self._take_back, volume, was_made=volume.name not in known)
            given = msgspec.structs.replace(
                mount,
                name=volume.name,
                source=volume.mount_point,
                driver=volume.driver,
                is_anonymous=mount.is_anonymous or not mount.name,
            )
            mounts.append(given)
            if mount.copies_image and not mount.subpath:
                fresh.append((given, volume))
        await self._fill(fresh, rootfs, owner)
        return replace(spec, mounts=tuple(mounts))

    def given(self, spec: ContainerSpec) -> None:
        """The container's record is written: it protects its volumes now."""
        for mount in spec.mounts:
            if isinstance(mount, VolumeMount):
                self._no_longer_given(mount.name)

    def _no_longer_given(self, name: str) -> None:
        self._being_given[name] -= 1
        if not self._being_given[name]:
            del self._being_given[name]

    async def _take_back(self, volume: Volume, *, was_made: bool) -> None:
        self._no_longer_given(volume.name)
        if was_made and not self.is_in_use(volume.name):
            await self.remove(volume.name)

    async def _fill(
        self, fresh: Sequence[tuple[VolumeMount, Volume]], rootfs: RootfsMount, owner: ContainerId
    ) -> None:
        waiting = []
        for mount, volume in fresh:
            await self._offload(self._volumes.hold, volume.name, owner)
            if await self._offload(self._volumes.is_empty, volume):
                waiting.append((mount, volume))
        try:
            if waiting:
                root = await self._tasks.open_view(rootfs)
                try:
                    for mount, volume in waiting:
                        await self._offload(self._volumes.fill, volume, root, mount.target)
                finally:
                    os.close(root)
        finally:
            for _mount, volume in fresh:
                await self._offload(self._volumes.release, volume.name, owner)

    # -- a container's life ------------------------------------------------------------------

    async def hold(self, container: Container, undo: UndoStack) -> Container:
        """Have all volumes of a container mounted, as long as it runs.

        Returns the container with the places where they are now.

        Raises: VolumeNotFound, StepFailed.
        """
        undo.push(self.release, container)
        mounts: list[MountSpec] = []
        for mount in container.spec.mounts:
            if isinstance(mount, VolumeMount):
                await self._offload(self._volumes.hold, mount.name, container.id)
                mounts.append(await self._offload(self._checked, mount))
            else:
                mounts.append(mount)
        return replace(container, spec=replace(container.spec, mounts=tuple(mounts)))

    def _checked(self, mount: VolumeMount) -> VolumeMount:
        source = self._volumes.get(mount.name).mount_point
        if not os.path.isdir(source):
            raise StepFailed(f"mount volume {mount.name}", f"{source} is not there")
        if mount.subpath:
            _require_part(source, mount.subpath)
        return msgspec.structs.replace(mount, source=source)

    def placed(self, container: Container) -> Container:
        """The container with its volumes where they are now: plugins mount them anew each time."""
        mounts = tuple(map(self._placed, container.spec.mounts))
        return replace(container, spec=replace(container.spec, mounts=mounts))

    def _placed(self, mount: MountSpec) -> MountSpec:
        if not isinstance(mount, VolumeMount):
            return mount
        try:
            place = self._volumes.get(mount.name).mount_point
        except VolumeNotFound:
            return mount
        return msgspec.structs.replace(mount, source=place)

    async def release(self, container: Container) -> None:
        """Let go of a container's volumes; it has ended."""
        for name in volume_names(container.spec.mounts):
            await self._offload(self._volumes.release, name, container.id)

    def announce(self, action: str, container: Container) -> None:
        """`mount` and `unmount` events of a container's volumes."""
        for mount in container.spec.mounts:
            if not isinstance(mount, VolumeMount):
                continue
            attributes = {"container": container.id, "driver": mount.driver}
            if action == "mount":
                attributes |= {
                    "destination": mount.target,
                    "propagation": mount.propagation,
                    "read/write": "false" if mount.is_read_only else "true",
                }
            self._events.publish("volume", action, mount.name, attributes)

    async def remove_anonymous(self, container: Container) -> None:
        """Remove the volumes that only this container, which is gone, had and nobody named."""
        for mount in container.spec.mounts:
            if isinstance(mount, VolumeMount) and mount.is_anonymous:
                try:
                    await self.remove(mount.name)
                except (VolumeInUse, VolumeNotFound):
                    continue

    async def take_over(self) -> None:
        """At boot: containers that run hold their volumes, and nobody else does.

        A rename that the last engine had begun is finished before.
        """
        for old, volume in (await self._offload(self._volumes.heal)).items():
            await self._tell_new_name(old, volume)
        held: dict[str, set[str]] = {}
        for container in self._records.all():
            if container.is_alive:
                for name in volume_names(container.spec.mounts):
                    held.setdefault(name, set()).add(container.id)
        await self._offload(self._volumes.take_over, held)


def volume_names(mounts: Iterable[MountSpec]) -> set[str]:
    """The volumes among mounts."""
    return {each.name for each in mounts if isinstance(each, VolumeMount)}


def _require_part(volume: str, path: str) -> None:
    """A part of a volume is there, whatever links lead to it inside. Raises: StepFailed."""
    whole = f"{volume}/{path}"
    try:
        with open_directory(volume) as root:
            os.close(open_in_root(root, path, os.O_PATH))
    except OSError as error:
        raise StepFailed(
            f"cannot access path {whole}",
            f"lstat {whole}: {os.strerror(error.errno or 0).lower()}",
        ) from error


def _renamed(mount: MountSpec, old: str, volume: Volume) -> MountSpec:
    """A mount of a volume that has another name now; a `-v` as it would be written today."""
    if not isinstance(mount, VolumeMount) or mount.name != old:
        return mount
    written = mount.written_as
    if written is not None and written.startswith(f"{old}:"):
        written = volume.name + written.removeprefix(old)
    return msgspec.structs.replace(
        mount, name=volume.name, source=volume.mount_point, written_as=written
    )


def mount_is_read_only(mount: MountSpec) -> bool:
    """Whether the container can't write to it."""
    match mount:
        case TmpfsMount():
            return "ro" in mount.options.split(",")
        case ImageMount():
            return True
        case _:
            return mount.is_read_only


def _came(mount: MountSpec) -> bool:
    """Whether a mount came from another container: a later `--volumes-from` replaces it."""
    match mount:
        case BindMount():
            return mount.is_inherited
        case VolumeMount():
            return mount.written_as is None and not mount.from_mount_flag
        case TmpfsMount() | ImageMount():
            return False


def _place(mount: MountSpec) -> str:
    return _clean(mount.target)


def _clean(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")
