"""What a container is to be: the wish, completed and found possible, and what to say of it."""

import os
from contextlib import suppress

from wherry.engine.containers.engine_defaults import EngineDefaults
from wherry.engine.containers.image_defaults import with_image_defaults
from wherry.engine.containers.image_mounts import check_images
from wherry.engine.containers.links import with_targets
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.platforms import platform_warnings
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.values import dataclass, replace
from wherry.logs.options import PLUGIN, kept_as, validate
from wherry.model.containers import BindMount, ContainerSpec, LogSpec
from wherry.model.errors import InvalidValue
from wherry.model.errors.plugins import PluginFailed, PluginNotFound
from wherry.model.errors.volumes import BindSourceMissing
from wherry.model.ids import ContainerId
from wherry.model.images import Image
from wherry.plugins import LOG_DRIVER, PluginHost
from wherry.snapshots import Snapshots
from wherry.specgen import HostFacts, admitted, apparmor_warnings, check_spec, label_warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided of a wish."""

    spec: ContainerSpec
    warnings: tuple[str, ...]
    """What of it will not be, or not as the user may think."""


class DecideSpec:
    """Decides; nothing is made."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        images: ImageStore,
        snapshots: Snapshots,
        volumes: ContainerVolumes,
        plugins: PluginHost,
        host: HostFacts,
        defaults: EngineDefaults,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._images = images
        self._snapshots = snapshots
        self._volumes = volumes
        self._plugins = plugins
        self._host = host
        self._defaults = defaults
        self._offload = offload

    async def __call__(
        self, spec: ContainerSpec, image: Image, container_id: ContainerId, *, platform: str
    ) -> Decision:
        """The wish for a container of an image; `platform` is the one that was asked for, if any.

        Raises: InvalidRequest kinds.
        """
        decided = await self._completed(spec, image, container_id)
        admission = admitted(decided.limits, self._host)
        doubts = await self._doubts(spec, image, asked_for=platform)
        return Decision(
            spec=replace(decided, limits=admission.limits),
            warnings=(*doubts, *admission.warnings),
        )

    async def _completed(
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


def _check_bind_sources(spec: ContainerSpec) -> None:
    """`--mount` wants the source there, `-v` makes it when the container starts."""
    for mount in spec.mounts:
        if (
            isinstance(mount, BindMount)
            and not mount.creates_source
            and not os.path.lexists(mount.source)
        ):
            raise BindSourceMissing(mount.source)
