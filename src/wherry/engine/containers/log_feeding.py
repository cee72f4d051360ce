"""What goes with a container's log lines, and the loggers that feed remote receivers."""

import asyncio
import logging
import os

from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.kit.timestamps import rfc3339_nano
from wherry.logs.feeding import read_place
from wherry.logs.options import PLUGIN, REMOTE_DRIVERS, extra_attributes, kept_as
from wherry.logs.receivers.messages import LogSource
from wherry.logs.tags import DEFAULT_TAG, TagFields, render_tag
from wherry.model.containers import Container
from wherry.model.errors import WherryError
from wherry.model.errors.containers import ReceiverUnreachable
from wherry.model.errors.plugins import PluginFailed, PluginNotFound
from wherry.model.ids import ContainerId
from wherry.model.queries import LogDelivery
from wherry.plugins import LOG_DRIVER, Plugin, PluginHost
from wherry.tasks import LogFeeder, LogOrder, LogTarget, Tasks

_STREAMS = "/run/docker/logging"
"""Where plugins look for streams, each in its own tree."""
_AGAIN_AFTER_S = 1.0

_log = logging.getLogger(__name__)


def log_target(container: Container, path: str) -> LogTarget:
    """Where the shim writes, and what it adds to each line. Raises: ReceiverUnreachable."""
    log = container.spec.log
    attributes = _attributes(container)
    if log.driver in ("", "json-file") and log.options.get("tag"):
        attributes["tag"] = _tag(container)
    return LogTarget(
        driver=kept_as(log.driver),
        path=path,
        options=log.options,
        attributes=attributes if log.driver in ("", "json-file") else {},
    )


def delivery_of(container: Container, paths: ContainerPaths) -> LogDelivery | None:
    """How far the receiver of a container's log was fed; None when it has none. Blocks."""
    if kept_as(container.spec.log.driver) not in REMOTE_DRIVERS:
        return None
    place = read_place(paths.record_directory(container.id))
    return LogDelivery(sent=place.sent, dropped=place.dropped, problem=place.problem)


class Loggers:
    """The loggers of containers whose driver has a receiver elsewhere."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        tasks: Tasks,
        paths: ContainerPaths,
        plugins: PluginHost,
        offload: OffloadPool,
    ) -> None:
        self._plugins = plugins
        self._offload = offload
        self._records = records
        self._tasks = tasks
        self._paths = paths
        self._feeders: dict[ContainerId, LogFeeder] = {}
        self._reviving: set[asyncio.Task[None]] = set()

    async def start(self, container: Container) -> None:
        """Have a receiver fed with what the container is about to write.

        Preconditions: the end of an earlier start is forgotten.
        Raises: ReceiverUnreachable where Docker's driver would not let the container start.
        """
        if kept_as(container.spec.log.driver) in REMOTE_DRIVERS:
            await self._feed(container, is_resumed=False)

    async def resume(self, container: Container) -> None:
        """See to it that the receiver of a running container is fed."""
        if kept_as(container.spec.log.driver) not in REMOTE_DRIVERS:
            return
        try:
            await self._feed(container, is_resumed=True)
        except WherryError as error:
            _log.warning("logger.not_resumed container=%s problem=%s", container.id, error)

    async def take_back(self, container_id: ContainerId) -> None:
        """The container was not started after all."""
        feeder = self._feeders.pop(container_id, None)
        if feeder is not None:
            await feeder.end()

    async def close(self) -> None:
        """Leave the loggers to themselves."""
        for reviving in tuple(self._reviving):
            reviving.cancel()
        await asyncio.gather(*self._reviving, return_exceptions=True)
        for feeder in self._feeders.values():
            feeder.let_go()
        self._feeders.clear()

    async def _feed(self, container: Container, *, is_resumed: bool) -> None:
        log = container.spec.log
        options = dict(log.options)
        if kept_as(log.driver) == PLUGIN:
            options |= await self._offload(self._plugin_options, log.driver, container.id)
        order = LogOrder(
            container_id=container.id,
            record_directory=self._paths.record_directory(container.id),
            path=self._paths.log(container.id),
            driver=kept_as(log.driver),
            options=options,
            source=source_of(container),
            is_resumed=is_resumed,
        )
        before = self._feeders.pop(container.id, None)
        if before is not None:
            before.let_go()
        self._feeders[container.id] = await self._tasks.feed_log(
            order,
            on_dropped=lambda lines, problem: _tell_dropped(container.id, lines, problem),
            on_lost=lambda: self._on_lost(container.id),
        )

    def _plugin_options(self, name: str, container_id: ContainerId) -> dict[str, str]:
        """What its receiver has to know of a plugin. Raises: ReceiverUnreachable."""
        from wherry.logs.receivers import plugin as receiver

        plugin, socket = log_plugin(self._plugins, name)
        fifo = f"{_STREAMS}/{container_id}"
        return {
            receiver.NAME: name,
            receiver.SOCKET: socket,
            receiver.FIFO: plugin.host_path(fifo),
            receiver.SHOWN_FIFO: fifo,
        }

    def _on_lost(self, container_id: ContainerId) -> None:
        self._feeders.pop(container_id, None)
        reviving = asyncio.get_running_loop().create_task(self._revive(container_id))
        self._reviving.add(reviving)
        reviving.add_done_callback(self._reviving.discard)

    async def _revive(self, container_id: ContainerId) -> None:
        """A logger ends with its container; one that ended alone gets a successor."""
        await asyncio.sleep(_AGAIN_AFTER_S)
        container = self._records.get(container_id)
        if container is not None and container.is_alive and container_id not in self._feeders:
            _log.warning("logger.lost container=%s", container_id)
            await self.resume(container)


def log_plugin(plugins: PluginHost, name: str) -> tuple[Plugin, str]:
    """A plugin that takes logs, and its socket. Blocking. Raises: ReceiverUnreachable."""
    try:
        plugin = plugins.get(name, LOG_DRIVER)
    except (PluginNotFound, PluginFailed) as error:
        raise ReceiverUnreachable(
            f'error looking up logging plugin {name}: plugin "{name}" not found'
        ) from error
    scheme, _, socket = plugin.address.partition("://")
    if scheme != "unix":
        raise ReceiverUnreachable(f"logging plugin {name} has no unix socket")
    return plugin, socket


def source_of(container: Container) -> LogSource:
    """A container as receivers of logs are told of it. Raises: ReceiverUnreachable."""
    return LogSource(
        container_id=container.id,
        container_name=container.name,
        image_id=container.image_id,
        image_name=container.spec.image,
        command=" ".join(container.arguments),
        created=rfc3339_nano(container.created_at_ns),
        hostname=os.uname().nodename,
        tag=_tag(container),
        attributes=_attributes(container),
    )


def _tell_dropped(container_id: ContainerId, lines: int, problem: str) -> None:
    _log.warning("logger.dropped container=%s lines=%d problem=%s", container_id, lines, problem)


def _attributes(container: Container) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in container.spec.environment)
    return extra_attributes(
        container.spec.log.options,
        labels=container.spec.labels,
        environment={name: value for name, separator, value in pairs if separator},
    )


def _tag(container: Container) -> str:
    """What names the container to a receiver. Raises: ReceiverUnreachable."""
    template = container.spec.log.options.get("tag") or DEFAULT_TAG
    fields = TagFields(
        container_id=container.id,
        name=container.name,
        image_id=container.image_id,
        image_name=container.spec.image,
        command=" ".join(container.arguments),
        labels=container.spec.labels,
        options=container.spec.log.options,
    )
    try:
        return render_tag(template, fields)
    except ValueError as error:
        raise ReceiverUnreachable(str(error)) from error
