"""Managed plugins as a user sees them: the verbs of `docker plugin`.

A plugin is installed disabled; enabling runs it. What it wants of the host has to be allowed
exactly (CVE-2026-33997 was a comparison that was off by one): neither less, lest it fail later,
nor more, lest somebody believe that a plugin has what it never asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from wherry.engine.events import EventLog
from wherry.engine.filters import FilterReader
from wherry.engine.plugins.config import (
    Rootfs,
    capabilities,
    default_settings,
    implements,
    privileges,
    read_config,
    with_settings,
)
from wherry.engine.plugins.deliveries import Deliveries
from wherry.engine.plugins.installed import InstalledPlugins
from wherry.engine.plugins.processes import PluginProcesses
from wherry.engine.plugins.transfers import PluginTransfers, reference_of
from wherry.kit.aio import BlockingReader, KeyedLock, OffloadPool, UndoStack
from wherry.kit.random_ids import new_id
from wherry.kit.values import replace
from wherry.model.errors.images import InvalidReference
from wherry.model.errors.plugins import PluginDisabled, PluginEnabled, PluginExists, PluginInUse
from wherry.model.outcomes import Progress
from wherry.model.plugins import ManagedPlugin, PluginPrivilege
from wherry.model.queries import Filters
from wherry.plugins import Plugin, PluginAddress
from wherry.registry import Credentials
from wherry.volumes import Volumes

LIST_FILTERS = frozenset({"capability", "enabled"})
_DEFAULT_TIMEOUT_S = 30.0


class PluginVerbs:
    """The verbs on managed plugins."""

    def __init__(
        self,
        *,
        plugins: InstalledPlugins,
        processes: PluginProcesses,
        volumes: Volumes,
        transfers: PluginTransfers,
        events: EventLog,
        offload: OffloadPool,
    ) -> None:
        self._plugins = plugins
        self._processes = processes
        self._volumes = volumes
        self._transfers = transfers
        self._events = events
        self._offload = offload
        self._locks = KeyedLock()
        self._deliveries = Deliveries(plugins, offload)

    async def open(self) -> None:
        """At boot: sweep, and have run what is enabled."""
        await self._offload(self._plugins.sweep)
        known = self._plugins.all()
        await self._processes.end_unrecorded([each for each in known if not each.is_enabled])
        await self._processes.take_over([each for each in known if each.is_enabled])

    async def close(self) -> None:
        """Let go; plugins run on."""
        await self._processes.close()

    def reach(self, name: str) -> Plugin | None:
        """An enabled plugin of a name, for whoever speaks its protocol."""
        names = (name, f"{name}:latest")
        for plugin in self._plugins.all():
            if plugin.is_enabled and plugin.name in names:
                return self._reached(plugin)
        return None

    def enabled(self, kind: str) -> Sequence[str]:
        """The names of enabled plugins that implement something."""
        return [
            each.name
            for each in self._plugins.all()
            if each.is_enabled and kind in implements(self._plugins.config(each))
        ]

    def _reached(self, plugin: ManagedPlugin) -> Plugin:
        socket = self._processes.socket(plugin)
        return Plugin(
            PluginAddress(name=plugin.name, address=f"unix://{socket}"),
            implements(self._plugins.config(plugin)),
            lambda path: self._processes.host_path(plugin, path),
        )

    # -- looking -----------------------------------------------------------------------------

    async def list(self, filters: Filters) -> Sequence[ManagedPlugin]:
        """Plugins that match. Raises: InvalidValue for a key or value."""
        given = FilterReader(filters, LIST_FILTERS)
        is_enabled = given.claim("enabled")
        wanted = set(given.values("capability")) if "capability" in given else set()
        return [
            each
            for each in self._plugins.all()
            if (is_enabled is None or each.is_enabled is is_enabled)
            and wanted <= capabilities(self._plugins.config(each))
        ]

    async def get(self, reference: str) -> ManagedPlugin:
        """One plugin. Raises: PluginNotFound."""
        return self._plugins.find(reference)

    async def privileges(self, remote: str, credentials: Credentials) -> Sequence[PluginPrivilege]:
        """What a plugin in a registry wants of the host. Raises: as `pull`."""
        reference = reference_of(remote)
        async with self._deliveries.under_way():
            _manifest, config = await self._transfers.described(reference, credentials)
        return privileges(config)

    # -- installing --------------------------------------------------------------------------

    async def create(self, name: str, context: AsyncIterator[bytes]) -> None:
        """Make a plugin of a directory with `config.json` and `rootfs`.

        Raises: InvalidReference, InvalidValue, PluginExists, ArchiveRefused.
        """
        reference = reference_of(name)
        if reference.digest is not None:
            raise InvalidReference(name, "canonical references are not permitted")
        async with (
            self._locks.held(reference.familiar),
            self._deliveries.under_way(),
            UndoStack() as undo,
        ):
            self._refuse_taken(reference.familiar)
            plugin_id = new_id()
            undo.push(self._offload, self._plugins.erase, plugin_id)
            reader = BlockingReader(context, asyncio.get_running_loop())
            try:
                written = await self._offload(self._plugins.unpack_context, plugin_id, reader)
            finally:
                await reader.abandon()
            config = read_config(written)
            layer = await self._offload(self._plugins.pack, plugin_id)
            config.rootfs = Rootfs(DiffIds=[layer.diff_id])
            document = msgspec.json.encode(config)
            plugin = ManagedPlugin(
                id=plugin_id,
                name=reference.familiar,
                remote="",
                config=document,
                config_digest=await self._offload(self._plugins.keep_document, document),
                layers=(layer,),
                settings=default_settings(config),
            )
            await self._offload(self._plugins.keep, plugin)
            undo.keep()
        self._tell("create", plugin)

    async def pull(
        self,
        remote: str,
        name: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]:
        """Install a plugin from a registry, disabled, telling the progress.

        Raises: PluginExists, PluginPrivilegesWrong, ManifestRefused, and what the client raises.
        """
        reference = reference_of(remote)
        wanted = reference_of(name) if name else reference
        async with (
            self._locks.held(wanted.familiar),
            self._deliveries.under_way(),
            UndoStack() as undo,
        ):
            self._refuse_taken(wanted.familiar)
            fresh = ManagedPlugin(
                id=new_id(), name=wanted.familiar, remote="", config=b"", config_digest="",
                layers=(),
            )  # fmt: skip
            undo.push(self._offload, self._plugins.erase, fresh.id)
            async for message in self._transfers.fetched(reference, fresh, allowed, credentials):
                yield message
            undo.keep()
        yield Progress(status=f"Status: Downloaded newer image for {wanted.familiar}")
        self._tell("pull", fresh)

    async def upgrade(
        self,
        reference: str,
        remote: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]:
        """Put another version in a disabled plugin's place. Raises: as `pull`; PluginEnabled."""
        wanted = reference_of(remote)
        async with self._held(reference) as plugin, self._deliveries.under_way():
            if plugin.is_enabled:
                why = "plugin must be disabled before upgrading"
                raise PluginEnabled(plugin.name, why)
            async for message in self._transfers.fetched(wanted, plugin, allowed, credentials):
                yield message
        self._tell("upgrade", plugin)

    # -- life --------------------------------------------------------------------------------

    async def enable(self, reference: str, timeout_s: float = 0) -> None:
        """Run a plugin. Raises: PluginNotFound, PluginEnabled, StartFailed."""
        async with self._held(reference) as plugin, UndoStack() as undo:
            if plugin.is_enabled:
                raise PluginEnabled(plugin.name)
            undo.push(self._processes.stop, plugin)
            await self._processes.start(plugin, timeout_s or _DEFAULT_TIMEOUT_S)
            await self._offload(self._plugins.keep, replace(plugin, is_enabled=True))
            undo.keep()
        self._tell("enable", plugin)

    async def disable(self, reference: str, *, is_forced: bool = False) -> None:
        """End a plugin. Raises: PluginNotFound, PluginEnabled."""
        async with self._held(reference) as plugin:
            if not plugin.is_enabled:
                raise PluginDisabled(plugin.name)
            if not is_forced:
                self._refuse_used(plugin)
            await self._offload(self._plugins.keep, replace(plugin, is_enabled=False))
            await self._processes.stop(plugin)
        self._tell("disable", plugin)

    async def set(self, reference: str, wishes: Sequence[str]) -> None:
        """Change settings of a disabled plugin.

        Raises: PluginNotFound, PluginEnabled, InvalidValue.
        """
        async with self._held(reference) as plugin:
            if plugin.is_enabled:
                why = "cannot set on an active plugin, disable plugin before setting"
                raise PluginEnabled(plugin.name, why)
            config = self._plugins.config(plugin)
            settings = with_settings(config, plugin.settings, wishes)
            await self._offload(self._plugins.keep, replace(plugin, settings=settings))

    async def remove(self, reference: str, *, is_forced: bool = False) -> ManagedPlugin:
        """Remove a plugin that is disabled; by force, disable it before.

        Raises: PluginNotFound, PluginEnabled.
        """
        async with self._held(reference) as plugin:
            if not is_forced:
                self._refuse_used(plugin)
                if plugin.is_enabled:
                    raise PluginEnabled(plugin.name)
            await self._processes.stop(plugin)
            await self._offload(self._plugins.remove, plugin)
            await self._deliveries.collect()
        self._tell("remove", plugin)
        return plugin

    async def push(self, reference: str, credentials: Credentials) -> AsyncIterator[Progress]:
        """Send a plugin to the registry that its name says, telling the progress.

        Raises: PluginNotFound, and what the client raises.
        """
        plugin = self._plugins.find(reference)
        async for message in self._transfers.push(plugin, credentials):
            yield message
        self._tell("push", plugin)

    # -- inside ------------------------------------------------------------------------------

    @asynccontextmanager
    async def _held(self, reference: str) -> AsyncIterator[ManagedPlugin]:
        """One verb at a time on a plugin. Raises: PluginNotFound."""
        async with self._locks.held(self._plugins.find(reference).name):
            yield self._plugins.find(reference)

    def _refuse_taken(self, name: str) -> None:
        if self._plugins.has_name(name):
            raise PluginExists(name)

    def _refuse_used(self, plugin: ManagedPlugin) -> None:
        if any(each.driver == plugin.name for each in self._volumes.all()):
            raise PluginInUse(plugin.name)

    def _tell(self, action: str, plugin: ManagedPlugin) -> None:
        self._events.publish("plugin", action, plugin.id, {"name": plugin.name})
