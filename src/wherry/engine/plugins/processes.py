"""The processes of managed plugins: started, watched, taken over at boot.

A plugin runs as a container of our own runtime without a record: its root is its directory, its
socket appears on the host in a directory of its own, and what it mounts below its propagated
mount the host sees. One that ends by itself is started again, each time a little later.

    EXEC_ROOT/plugins/ID             its bundle
    /run/docker/plugins/ID/SOCKET    where it answers
"""

import asyncio
import logging
import os
import shutil
import time
from contextlib import suppress

from wherry.engine.plugins.as_container import SOCKETS, container_spec
from wherry.engine.plugins.installed import InstalledPlugins
from wherry.kit.aio import OffloadPool, own_task
from wherry.kit.clock import Clock
from wherry.model.containers import (
    Container,
    ContainerStatus,
)
from wherry.model.errors import StepFailed, WherryError
from wherry.model.ids import ContainerId, ImageId
from wherry.model.lifecycle import ContainerState
from wherry.model.plugins import ManagedPlugin
from wherry.oci.runtime_spec import RootfsMount
from wherry.operations.files.shared_directories import ShareDirectory, UnshareDirectory
from wherry.operations.plan import Hands, execute
from wherry.specgen import HostFacts, SandboxPaths, find_devices, runtime_spec
from wherry.tasks import SpawnRequest, Task, Tasks

STOP_TIMEOUT_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 60.0
_SIGTERM, _SIGKILL = 15, 9

_log = logging.getLogger(__name__)


class PluginProcesses:
    """The plugins that run."""

    def __init__(
        self,
        *,
        plugins: InstalledPlugins,
        tasks: Tasks,
        host: HostFacts,
        exec_root: str,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._plugins = plugins
        self._tasks = tasks
        self._host = host
        self._bundles = f"{exec_root}/plugins"
        self._offload = offload
        self._clock = clock
        self._running: dict[str, Task] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}

    def socket(self, plugin: ManagedPlugin) -> str:
        """Where a plugin answers."""
        name = self._plugins.config(plugin).Interface.Socket
        return f"{SOCKETS}/{plugin.id}/{name}"

    def host_path(self, plugin: ManagedPlugin, path: str) -> str:
        """A path as a plugin says it, as the host has it."""
        propagated = self._plugins.config(plugin).PropagatedMount
        place = self._plugins.place(plugin.id)
        if propagated and (path == propagated or path.startswith(f"{propagated}/")):
            return f"{place}/propagated-mount{path.removeprefix(propagated)}"
        return f"{place}/rootfs{path}"

    async def start(self, plugin: ManagedPlugin, timeout_s: float) -> None:
        """Run a plugin, until it takes connections.

        Raises: StepFailed when it ends before, or is not ready in time; then nothing is left.
        """
        self._running[plugin.id] = await self._spawned(plugin)
        try:
            await self._answering(plugin, timeout_s)
        except BaseException:
            await self.stop(plugin)
            raise
        self._watch(plugin)

    async def stop(self, plugin: ManagedPlugin) -> None:
        """End a plugin; one that does not run is no error."""
        watching = self._watching.pop(plugin.id, None)
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        task = self._running.pop(plugin.id, None)
        if task is not None:
            await self._end(task)
        await self._offload(self._clear, plugin)

    async def take_over(self, enabled: list[ManagedPlugin]) -> None:
        """At boot: find those that run on, and start the others that should."""
        await asyncio.gather(*(self._take_over(each) for each in enabled))

    async def end_unrecorded(self, disabled: list[ManagedPlugin]) -> None:
        """At boot: end those that ran before anybody could write down that they do."""
        for plugin in disabled:
            if not await self._offload(os.path.isdir, self._bundle(plugin)):
                continue
            found = await self._tasks.reattach(
                ContainerId(plugin.id), self._bundle(plugin), self._state(plugin)
            )
            if isinstance(found, Task):
                _log.warning("plugin.not_recorded plugin=%s", plugin.name)
                await self._end(found)
            await self._offload(self._clear, plugin)

    async def close(self) -> None:
        """Let go of all of them; they run on."""
        for watching in self._watching.values():
            watching.cancel()
        await asyncio.gather(*self._watching.values(), return_exceptions=True)
        for task in self._running.values():
            task.let_go()

    # -- inside ------------------------------------------------------------------------------

    async def _take_over(self, plugin: ManagedPlugin) -> None:
        found = await self._tasks.reattach(
            ContainerId(plugin.id), self._bundle(plugin), self._state(plugin)
        )
        if isinstance(found, Task):
            self._running[plugin.id] = found
        self._watch(plugin)

    def _watch(self, plugin: ManagedPlugin) -> None:
        self._watching[plugin.id] = own_task(self._kept_running(plugin))

    async def _kept_running(self, plugin: ManagedPlugin) -> None:
        """Start it again whenever it ends; who disables it cancels this."""
        pause = _FIRST_PAUSE_S
        while True:
            task = self._running.get(plugin.id)
            if task is not None:
                begun = time.monotonic()
                ended = await task.wait()
                _log.warning("plugin.ended plugin=%s code=%d", plugin.name, ended.exit_code)
                self._running.pop(plugin.id, None)
                await task.delete()
                await self._offload(self._clear, plugin)
                if time.monotonic() - begun > _LONGEST_PAUSE_S:
                    pause = _FIRST_PAUSE_S
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            try:
                self._running[plugin.id] = await self._spawned(plugin)
            except (WherryError, OSError) as error:
                _log.warning("plugin.not_started plugin=%s problem=%s", plugin.name, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _spawned(self, plugin: ManagedPlugin) -> Task:
        request = await self._offload(self._request, plugin)
        task = await self._tasks.spawn(request)
        try:
            await task.start()
        except BaseException:
            await task.discard()
            raise
        return task

    async def _answering(self, plugin: ManagedPlugin, timeout_s: float) -> None:
        socket = self.socket(plugin)
        task = self._running[plugin.id]
        ended = asyncio.ensure_future(task.wait())
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    with suppress(OSError):
                        _reader, writer = await asyncio.open_unix_connection(socket)
                        writer.close()
                        return
                    if ended.done():
                        code = ended.result().exit_code
                        raise StepFailed(f"enable plugin {plugin.name}", f"it ended: {code}")
                    await asyncio.wait([ended], timeout=0.05)
        except TimeoutError:
            problem = f"dial unix {socket}: connect: connection refused"
            raise StepFailed(f"enable plugin {plugin.name}", problem) from None
        finally:
            ended.cancel()

    async def _end(self, task: Task) -> None:
        waiting = asyncio.ensure_future(task.wait())
        for signal, patience in ((_SIGTERM, STOP_TIMEOUT_S), (_SIGKILL, None)):
            with suppress(WherryError, OSError):
                await task.signal(signal)
            done, _ = await asyncio.wait([waiting], timeout=patience)
            if done:
                break
        await task.delete()

    def _bundle(self, plugin: ManagedPlugin) -> str:
        return f"{self._bundles}/{plugin.id}"

    def _state(self, plugin: ManagedPlugin) -> str:
        return f"{self._plugins.place(plugin.id)}/state"

    def _request(self, plugin: ManagedPlugin) -> SpawnRequest:
        """What the shim is told. Blocking. Raises: InvalidValue, OSError."""
        config = self._plugins.config(plugin)
        place = self._plugins.place(plugin.id)
        os.makedirs(f"{SOCKETS}/{plugin.id}", mode=0o700, exist_ok=True)
        for directory in (self._bundle(plugin), self._state(plugin)):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        if config.PropagatedMount:
            sharing = ShareDirectory(
                why=f"plugin {plugin.name} mounts there for others",
                directory=f"{place}/propagated-mount",
            )
            execute((sharing,), Hands(), [])
        spec = container_spec(plugin, config, place)
        container = Container(
            id=ContainerId(plugin.id),
            name=plugin.name,
            created_at_ns=self._clock.now_ns(),
            image_id=ImageId(plugin.config_digest),
            spec=spec,
            status=ContainerStatus(state=ContainerState.CREATED),
        )
        return SpawnRequest(
            container_id=container.id,
            bundle=self._bundle(plugin),
            record_directory=self._state(plugin),
            spec=runtime_spec(
                container,
                host=self._host,
                sandbox=SandboxPaths(),
                devices=find_devices(spec),
            ),
            rootfs=RootfsMount(type="bind", directory=place, source=f"{place}/rootfs"),
            user=f"{config.User.UID}:{config.User.GID}",
        )

    def _clear(self, plugin: ManagedPlugin) -> None:
        """What a plugin that ended leaves. Blocking."""
        shutil.rmtree(f"{SOCKETS}/{plugin.id}", ignore_errors=True)
        shutil.rmtree(self._bundle(plugin), ignore_errors=True)
        with suppress(OSError):
            os.rmdir(self._bundles)  # the last one has ended
        shared = f"{self._plugins.place(plugin.id)}/propagated-mount"
        if os.path.isdir(shared):
            leaving = UnshareDirectory(why=f"plugin {plugin.name} has ended", directory=shared)
            execute((leaving,), Hands(), [])
