"""Managed plugins, put together when the data root has some, or when somebody asks for them."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wherry.plugins import Plugin
from wherry.programs.ground import Ground
from wherry.programs.stores import Stores
from wherry.registry import RegistryClient
from wherry.tasks import Tasks

if TYPE_CHECKING:
    from wherry.engine.plugins.verbs import PluginVerbs


class PluginParts:
    """The verbs of plugins, not in memory before they are wanted."""

    def __init__(
        self,
        ground: Ground,
        stores: Stores,
        tasks: Tasks,
        client: RegistryClient,
    ) -> None:
        self._ground = ground
        self._stores = stores
        self._tasks = tasks
        self._client = client
        self._directory = f"{ground.settings.data_root}/plugins"
        self._verbs: PluginVerbs | None = None
        ground.plugins.ask_first(self)

    def __call__(self) -> "PluginVerbs":
        """The verbs."""
        if self._verbs is None:
            self._verbs = self._made()
        return self._verbs

    async def open(self) -> None:
        """At boot, before containers: have run what is enabled."""
        if await self._ground.offload(os.path.isdir, self._directory):
            await self().open()

    async def close(self) -> None:
        """Let go of plugins; they run on."""
        if self._verbs is not None:
            await self._verbs.close()

    def reach(self, name: str) -> Plugin | None:
        """The enabled plugin of a name."""
        return self._verbs.reach(name) if self._verbs is not None else None

    def enabled(self, kind: str) -> Sequence[str]:
        """The names of enabled plugins that implement something."""
        return self._verbs.enabled(kind) if self._verbs is not None else ()

    def _made(self) -> "PluginVerbs":
        from wherry.engine.plugins.installed import InstalledPlugins
        from wherry.engine.plugins.processes import PluginProcesses
        from wherry.engine.plugins.transfers import PluginTransfers
        from wherry.engine.plugins.verbs import PluginVerbs

        ground, stores = self._ground, self._stores
        plugins = InstalledPlugins(self._directory, ground.database)
        processes = PluginProcesses(
            plugins=plugins,
            tasks=self._tasks,
            host=ground.host,
            exec_root=ground.settings.exec_root,
            offload=ground.offload,
            clock=ground.clock,
        )
        return PluginVerbs(
            plugins=plugins,
            processes=processes,
            volumes=stores.volumes,
            transfers=PluginTransfers(
                plugins=plugins, client=self._client, offload=ground.offload
            ),
            events=stores.events,
            offload=ground.offload,
        )
