"""From a wish to a record: decide, reserve the name, prepare what is on disk."""

import random
import re

from wherry.engine.containers.deciding import DecideSpec
from wherry.engine.containers.disk import ContainerDisk
from wherry.engine.containers.planned_endpoints import planned_endpoints
from wherry.engine.containers.volumes import ContainerVolumes, volume_names
from wherry.engine.events import EventLog
from wherry.engine.names import pick_name
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore, platform_from
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.random_ids import new_id
from wherry.kit.values import replace
from wherry.model.containers import (
    Container,
    ContainerSpec,
    ContainerStatus,
)
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import InvalidContainerName
from wherry.model.ids import ContainerId
from wherry.model.images import Image
from wherry.model.lifecycle import ContainerState
from wherry.model.outcomes import CreateOutcome
from wherry.networks import Networks

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class CreateContainer:
    """The verb `create`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        images: ImageStore,
        networks: Networks,
        events: EventLog,
        volumes: ContainerVolumes,
        decide: DecideSpec,
        disk: ContainerDisk,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._records = records
        self._images = images
        self._networks = networks
        self._events = events
        self._volumes = volumes
        self._decide = decide
        self._disk = disk
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
        decision = await self._decide(spec, image, container_id, platform=platform)
        container = Container(
            id=container_id,
            name=self._name_for(name),
            created_at_ns=self._clock.now_ns(),
            image_id=image.id,
            spec=decision.spec,
            status=ContainerStatus(state=ContainerState.CREATED),
            endpoints=planned_endpoints(decision.spec.network, self._networks),
        )
        async with UndoStack() as undo:
            container = await self._prepared(container, image, undo)
            await self._records.add(container)
            self._volumes.given(container.spec)
            undo.keep()
        self._events.container("create", container)
        return CreateOutcome(container_id=container.id, warnings=decision.warnings)

    # -- steps -------------------------------------------------------------------------------

    async def _prepared(self, container: Container, image: Image, undo: UndoStack) -> Container:
        """What it is to find on disk is there; the container, with what is mounted in it."""
        undo.push(self._offload, self._disk.take_back, container.id)
        container = await self._offload(self._disk.prepare, container, image)
        if volume_names(container.spec.mounts):
            rootfs = self._disk.rootfs(container.id)
            given = await self._volumes.give(container.spec, rootfs, container.id, undo)
            container = replace(container, spec=given)
        return container

    def _image_of(self, spec: ContainerSpec, platform: str) -> Image:
        if not spec.image:
            raise InvalidValue("invalid reference format")
        wanted = platform_from(platform, self._images.host) if platform else None
        return self._images.resolve(spec.image, platform=wanted)

    def _name_for(self, wish: str) -> str:
        if not wish:
            return pick_name(self._records.name_is_free, self._dice)
        return checked_name(wish)


def checked_name(wish: str) -> str:
    """A name without the slash that Docker's JSON has. Raises: InvalidContainerName."""
    name = wish.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise InvalidContainerName(wish)
    return name
