"""From a wish to a record: merge with the image, reserve the name, prepare the snapshot."""

import os
import random
import re
import shutil
from contextlib import suppress

from wherry.engine.containers.engine_defaults import EngineDefaults
from wherry.engine.containers.image_defaults import with_image_defaults
from wherry.engine.containers.image_mounts import check_images, mount_images
from wherry.engine.containers.links import with_targets
from wherry.engine.containers.planned_endpoints import planned_endpoints
from wherry.engine.containers.volumes import ContainerVolumes, volume_names
from wherry.engine.events import EventLog
from wherry.engine.names import pick_name
from wherry.engine.paths import ContainerPaths
from wherry.engine.platforms import platform_warnings
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore, platform_from
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.random_ids import new_id
from wherry.kit.values import replace
from wherry.logs.options import PLUGIN, kept_as, validate
from wherry.model.containers import (
    BindMount,
    Container,
    ContainerSpec,
    ContainerStatus,
    LogSpec,
)
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import InvalidContainerName
from wherry.model.errors.plugins import PluginFailed, PluginNotFound
from wherry.model.errors.volumes import BindSourceMissing
from wherry.model.ids import ContainerId, SnapshotKey
from wherry.model.images import Image
from wherry.model.lifecycle import ContainerState
from wherry.model.outcomes import CreateOutcome
from wherry.networks import Networks
from wherry.operations.journal_files import write_journal
from wherry.plugins import LOG_DRIVER, PluginHost
from wherry.snapshots import Snapshots
from wherry.specgen import (
    HostFacts,
    admitted,
    apparmor_warnings,
    check_spec,
    label_warnings,
)

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class CreateContainer:
    """The verb `create`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        images: ImageStore,
        snapshots: Snapshots,
        networks: Networks,
        events: EventLog,
        paths: ContainerPaths,
        volumes: ContainerVolumes,
        plugins: PluginHost,
        host: HostFacts,
        defaults: EngineDefaults,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._records = records
        self._images = images
        self._snapshots = snapshots
        self._networks = networks
        self._events = events
        self._paths = paths
        self._volumes = volumes
        self._plugins = plugins
        self._host = host
        self._defaults = defaults
        self._offload = offload
        self._clock = clock
        self._dice = random.Random()

    async def __call__(
        self,
        spec: ContainerSpec,
        *,
        name: str = "",
        platform: str = "",
        image: Image | None = None,
    ) -> CreateOutcome:
        """Make a container in state CREATED, with a writable snapshot of its image.

        `image` is one that need not be recorded, in the place of the one that the spec names.

        Raises: ImageNotFound, ContainerNameTaken, InvalidRequest kinds.
        """
        image = image or self._image_of(spec, platform)
        container_id = ContainerId(new_id())
        decided = await self._decided(spec, image, container_id)
        admission = admitted(decided.limits, self._host)
        container = Container(
            id=container_id,
            name=self._name_for(name),
            created_at_ns=self._clock.now_ns(),
            image_id=image.id,
            spec=replace(decided, limits=admission.limits),
            status=ContainerStatus(state=ContainerState.CREATED),
            endpoints=planned_endpoints(decided.network, self._networks),
        )
        async with UndoStack() as undo:
            container = await self._prepared(container, image, undo)
            await self._records.add(container)
            self._volumes.given(container.spec)
            undo.keep()
        self._events.container("create", container)
        doubts = await self._doubts(spec, image, asked_for=platform)
        return CreateOutcome(container_id=container.id, warnings=(*doubts, *admission.warnings))

    # -- steps -------------------------------------------------------------------------------

    async def _decided(
        self, spec: ContainerSpec, image: Image, container_id: ContainerId
    ) -> ContainerSpec:
        """The wish, completed and found possible. Raises: InvalidRequest kinds."""
        spec = with_targets(spec, self._records)
        if spec.mounts:
            await self._offload(_check_bind_sources, spec)
        decided = self._defaults.completed(with_image_defaults(spec, image.config), container_id)
        decided = self._volumes.planned(decided)
        if decided.mounts:
            check_images(decided, self._images)
        if not decided.entrypoint and not decided.command:
            raise InvalidValue("no command specified")
        check_spec(decided, host=self._host)
        self._snapshots.check_options(decided.storage_options)
        await self._check_log(decided.log)
        return decided

    async def _prepared(self, container: Container, image: Image, undo: UndoStack) -> Container:
        """What it is to find on disk is there; the container, with what is mounted in it."""
        undo.push(self._offload, self._erase_files, container.id)
        container = await self._offload(self._prepare_files, container, image)
        if volume_names(container.spec.mounts):
            rootfs = self._snapshots.rootfs(SnapshotKey(container.id))
            given = await self._volumes.give(container.spec, rootfs, container.id, undo)
            container = replace(container, spec=given)
        return container

    async def _doubts(
        self, spec: ContainerSpec, image: Image, *, asked_for: str
    ) -> tuple[str, ...]:
        """What of the wish, as it came, will not be; `asked_for` is the platform, if any."""
        foreign = await self._offload(
            platform_warnings, image, self._images.host, was_asked=bool(asked_for)
        )
        return (
            *foreign,
            *apparmor_warnings(spec.security, self._host),
            *label_warnings(spec.security, self._host),
        )

    async def _check_log(self, log: LogSpec) -> None:
        """Options of a plugin's are its own. Raises: InvalidValue."""
        if kept_as(log.driver) == PLUGIN:
            with suppress(PluginNotFound, PluginFailed):
                await self._offload(self._plugins.get, log.driver, LOG_DRIVER)
                return
        try:
            validate(log.driver, log.options)
        except ValueError as error:
            raise InvalidValue(str(error)) from error

    def _image_of(self, spec: ContainerSpec, platform: str) -> Image:
        if not spec.image:
            raise InvalidValue("invalid reference format")
        wanted = platform_from(platform, self._images.host) if platform else None
        return self._images.resolve(spec.image, platform=wanted)

    def _name_for(self, wish: str) -> str:
        if not wish:
            return pick_name(self._records.name_is_free, self._dice)
        return checked_name(wish)

    def _prepare_files(self, container: Container, image: Image) -> Container:
        """Its directory and snapshots; returns the container with what is mounted in it."""
        os.makedirs(self._paths.record_directory(container.id), mode=0o700)
        done = self._snapshots.prepare(
            SnapshotKey(container.id), image.chain_id, options=container.spec.storage_options
        )
        write_journal(self._paths.snapshot_journal(container.id), done)
        if not container.spec.mounts:
            return container
        spec = mount_images(container.spec, container.id, self._images, self._snapshots)
        return replace(container, spec=spec)

    def _erase_files(self, container_id: ContainerId) -> None:
        made = self._snapshots.keys()
        for key in made:
            if key.startswith(container_id):
                self._snapshots.remove(key)
        shutil.rmtree(self._paths.record_directory(container_id), ignore_errors=True)


def checked_name(wish: str) -> str:
    """A name without the slash that Docker's JSON has. Raises: InvalidContainerName."""
    name = wish.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise InvalidContainerName(wish)
    return name


def _check_bind_sources(spec: ContainerSpec) -> None:
    """`--mount` wants the source there, `-v` makes it when the container starts."""
    for mount in spec.mounts:
        if (
            isinstance(mount, BindMount)
            and not mount.creates_source
            and not os.path.lexists(mount.source)
        ):
            raise BindSourceMissing(mount.source)
