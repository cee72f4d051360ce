"""From a wish to a record: merge with the image, reserve the name, prepare the snapshot."""

import os
import random
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress

from wherry.engine.containers.image_mounts import check_images, mount_images
from wherry.engine.containers.joined import joined_container, mode_by_id, network_mode_by_id
from wherry.engine.containers.links import with_targets
from wherry.engine.containers.volumes import ContainerVolumes, volume_names
from wherry.engine.events import EventLog
from wherry.engine.names import pick_name
from wherry.engine.paths import ContainerPaths
from wherry.engine.platforms import platform_warnings
from wherry.engine.records import ContainerRecords
from wherry.engine.runtimes import RuntimeTable
from wherry.images import ImageStore, platform_from
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.random_ids import new_id, short_id
from wherry.kit.values import dataclass, field, replace
from wherry.logs.options import PLUGIN, kept_as, validate
from wherry.model.containers import (
    BindMount,
    Container,
    ContainerSpec,
    ContainerStatus,
    LogSpec,
    Namespaces,
    NetworkSpec,
    Security,
)
from wherry.model.errors import (
    BindSourceMissing,
    InvalidContainerName,
    InvalidValue,
    NetworkNotFound,
    PluginFailed,
    PluginNotFound,
)
from wherry.model.ids import ContainerId, EndpointId, NetworkId, SnapshotKey
from wherry.model.images import Image, ImageConfig
from wherry.model.lifecycle import ContainerState
from wherry.model.limits import Limits, Ulimit
from wherry.model.networks import EndpointStatus, EndpointWish, NetworkMode, NetworkModeKind
from wherry.model.outcomes import CreateOutcome
from wherry.networks import Networks, check_wish
from wherry.operations.journal_files import write_journal
from wherry.plugins import LOG_DRIVER, PluginHost
from wherry.snapshots import Snapshots
from wherry.specgen import (
    HostFacts,
    admitted,
    apparmor_warnings,
    check_spec,
    container_apparmor,
    label_warnings,
)

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
RESERVED_LABELS = ("wherry.", "com.docker.compose.")
"""What these begin is said to the engine, to pods and to Compose, by whoever makes a container; an
image has no say in it (the class of CVE-2026-53488)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDefaults:
    """What the engine's settings say where the user says nothing."""

    log: LogSpec
    runs_init: bool = False
    shm_bytes: int = 64 << 20
    ipc: str = "private"
    cgroup: str = ""
    """Namespace mode; empty: a namespace of its own only where cgroups are of version 2."""
    ulimits: tuple[Ulimit, ...] = ()
    no_new_privileges: bool = False
    seccomp: str = ""
    """As `Security.seccomp`."""
    runtimes: RuntimeTable = field(default_factory=RuntimeTable)


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
        defaults: CreateDefaults,
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

    def use_defaults(self, defaults: CreateDefaults) -> None:
        """From now on; containers that exist keep what they were created with."""
        self._defaults = defaults

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
        spec = with_targets(spec, self._records)
        if spec.mounts:
            await self._offload(_check_bind_sources, spec)
        container_id = ContainerId(new_id())
        merged = self._with_engine_defaults(with_image_defaults(spec, image.config), container_id)
        merged = self._volumes.planned(merged)
        if merged.mounts:
            check_images(merged, self._images)
        if not merged.entrypoint and not merged.command:
            raise InvalidValue("no command specified")
        check_spec(merged, host=self._host)
        self._snapshots.check_options(merged.storage_options)
        admission = admitted(merged.limits, self._host)
        await self._check_log(merged.log)
        container = Container(
            id=container_id,
            name=self._name_for(name),
            created_at_ns=self._clock.now_ns(),
            image_id=image.id,
            spec=replace(merged, limits=admission.limits),
            status=ContainerStatus(state=ContainerState.CREATED),
            endpoints=self._planned_endpoints(merged.network),
        )
        async with UndoStack() as undo:
            undo.push(self._offload, self._erase_files, container_id)
            container = await self._offload(self._prepare_files, container, image)
            if volume_names(merged.mounts):
                rootfs = self._snapshots.rootfs(SnapshotKey(container_id))
                given = await self._volumes.give(container.spec, rootfs, container_id, undo)
                container = replace(container, spec=given)
            await self._records.add(container)
            self._volumes.given(container.spec)
            undo.keep()
        self._events.container("create", container)
        security = spec.security
        unheard = (
            *apparmor_warnings(security, self._host),
            *label_warnings(security, self._host),
        )
        foreign = await self._offload(
            platform_warnings, image, self._images.host, was_asked=bool(platform)
        )
        warnings = (*foreign, *unheard, *admission.warnings)
        return CreateOutcome(container_id=container.id, warnings=warnings)

    # -- steps -------------------------------------------------------------------------------

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

    def _with_engine_defaults(
        self, spec: ContainerSpec, container_id: ContainerId
    ) -> ContainerSpec:
        return replace(
            spec,
            hostname=spec.hostname or self._hostname(spec.network, container_id),
            namespaces=self._namespaces(spec.namespaces),
            limits=self._limits(spec.limits),
            security=self._security(spec.security),
            network=replace(
                self._all_wishes(spec.network),
                mode=network_mode_by_id(spec.network.mode, self._records),
            ),
            log=self._log_for(spec.log),
            runs_init=self._runs_init(spec.runs_init),
            shm_bytes=spec.shm_bytes or self._defaults.shm_bytes,
            runtime=self._defaults.runtimes.resolve(spec.runtime),
        )

    def _hostname(self, network: NetworkSpec, container_id: ContainerId) -> str:
        """A container that shares a network has the name of whoever has that network."""
        match network.mode.kind:
            case NetworkModeKind.HOST:
                return os.uname().nodename
            case NetworkModeKind.CONTAINER:
                joined = joined_container(network.mode.reference, self._records)
                return joined.spec.hostname if joined else short_id(container_id)
            case _:
                return short_id(container_id)

    def _namespaces(self, wish: Namespaces) -> Namespaces:
        cgroup = self._defaults.cgroup or ("host" if self._host.cgroup_version == 1 else "private")
        return replace(
            wish,
            pid=mode_by_id(wish.pid, self._records),
            ipc=mode_by_id(wish.ipc or self._defaults.ipc, self._records),
            cgroup=wish.cgroup or cgroup,
        )

    def _limits(self, wish: Limits) -> Limits:
        """The wish, and the engine's ulimits of other names."""
        named = {each.name for each in wish.ulimits}
        others = tuple(each for each in self._defaults.ulimits if each.name not in named)
        return replace(wish, ulimits=wish.ulimits + others)

    def _security(self, wish: Security) -> Security:
        """What the user said nothing about is as the engine says; privileges stay whole."""
        says_privileges = any(each.startswith("no-new-privileges") for each in wish.options)
        return replace(
            wish,
            no_new_privileges=wish.no_new_privileges
            or (self._defaults.no_new_privileges and not says_privileges),
            apparmor=container_apparmor(wish, self._host),
            seccomp=wish.seccomp or ("" if wish.is_privileged else self._defaults.seccomp),
        )

    def _runs_init(self, wish: bool | None) -> bool | None:
        return True if wish is None and self._defaults.runs_init else wish

    def _log_for(self, wish: LogSpec) -> LogSpec:
        default = self._defaults.log
        if wish.driver and wish.driver != default.driver:
            return wish
        return LogSpec(driver=default.driver, options={**default.options, **wish.options})

    def _planned_endpoints(self, network: NetworkSpec) -> tuple[EndpointStatus, ...]:
        """Where it will be connected; a network that is not there yet may come before a start."""
        if network.is_disabled or network.mode.kind is NetworkModeKind.CONTAINER:
            return ()
        names = [each.network for each in network.endpoints] or [_network_name(network.mode)]
        planned = []
        for name in names:
            try:
                found = self._networks.get(name)
            except NetworkNotFound:
                planned.append(_unconnected(NetworkId(""), name))
            else:
                planned.append(_unconnected(found.id, found.name))
        return tuple(planned)

    def _all_wishes(self, network: NetworkSpec) -> NetworkSpec:
        """The wishes for single networks, with that of the mode among them.

        Raises: InvalidValue, ConnectionRefused.
        """
        name = _network_name(network.mode)
        is_alone = network.is_disabled or network.mode.kind in _ALONE
        if is_alone and any(each.network != name for each in network.endpoints):
            raise InvalidValue(
                "conflicting options: cannot attach both user-defined and non-user-defined "
                "network-modes"
            )
        if is_alone:
            return replace(network, endpoints=())
        wishes = {each.network: each for each in network.endpoints}
        mine = wishes.pop(name, None) or EndpointWish(network=name)
        endpoints = (mine, *wishes.values())
        for wish in endpoints:
            try:
                check_wish(self._networks.get(wish.network), wish)
            except NetworkNotFound:
                continue  # It may be there before the start.
        return replace(network, endpoints=endpoints)

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


_ALONE = frozenset({NetworkModeKind.CONTAINER, NetworkModeKind.HOST, NetworkModeKind.NONE})
"""Modes that go with no network beside them."""


def _network_name(mode: NetworkMode) -> str:
    if mode.kind is NetworkModeKind.NETWORK:
        return mode.reference
    return "bridge" if mode.kind is NetworkModeKind.DEFAULT else mode.kind.value


def _unconnected(network_id: NetworkId, name: str) -> EndpointStatus:
    return EndpointStatus(endpoint_id=EndpointId(""), network_id=network_id, network_name=name)


def checked_name(wish: str) -> str:
    """A name without the slash that Docker's JSON has. Raises: InvalidContainerName."""
    name = wish.removeprefix("/")
    if not _NAME.fullmatch(name):
        raise InvalidContainerName(wish)
    return name


def with_image_defaults(spec: ContainerSpec, image: ImageConfig) -> ContainerSpec:
    """The wish, completed by what the image says; the user's words win.

    A user's entrypoint also drops the image's command, as in Docker. An entrypoint of one
    empty word (`--entrypoint ""`) means: none at all.
    """
    entrypoint, command = spec.entrypoint, spec.command
    if not entrypoint:
        if not command:
            command = image.command
        if entrypoint is None:
            entrypoint = image.entrypoint
    if entrypoint == ("",):
        entrypoint = None
    return replace(
        spec,
        entrypoint=entrypoint,
        command=command,
        environment=merge_environment(image.environment, spec.environment),
        working_directory=spec.working_directory or image.working_directory,
        user=spec.user or image.user,
        labels={**_inherited(image.labels), **spec.labels},
        stop_signal=spec.stop_signal or image.stop_signal,
        health=image.health if spec.health is None else spec.health.completed_by(image.health),
        shell=spec.shell or image.shell,
        declared_volumes=tuple(sorted({*spec.declared_volumes, *image.volumes})),
        network=replace(
            spec.network,
            exposed=tuple(
                sorted(
                    {
                        *image.exposed_ports,
                        *spec.network.exposed,
                        *(binding.port for binding in spec.network.bindings),
                    }
                )
            ),
        ),
    )


def _inherited(labels: Mapping[str, str]) -> dict[str, str]:
    """An image's labels, without those by which people tell the engine and Compose what to do."""
    return {name: each for name, each in labels.items() if not name.startswith(RESERVED_LABELS)}


def merge_environment(image: tuple[str, ...], user: tuple[str, ...]) -> tuple[str, ...]:
    """The user's variables, then the image's that the user did not set.

    Raises: InvalidValue for an entry without a name.
    """
    for entry in user:
        if not entry.partition("=")[0]:
            raise InvalidValue(f"invalid environment variable: {entry}")
    names = {entry.partition("=")[0] for entry in user}
    return user + tuple(entry for entry in image if entry.partition("=")[0] not in names)


def _check_bind_sources(spec: ContainerSpec) -> None:
    """`--mount` wants the source there, `-v` makes it when the container starts."""
    for mount in spec.mounts:
        if (
            isinstance(mount, BindMount)
            and not mount.creates_source
            and not os.path.lexists(mount.source)
        ):
            raise BindSourceMissing(mount.source)
