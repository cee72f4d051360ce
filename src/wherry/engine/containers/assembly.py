"""Putting a container together: volumes, network, bundle, shim.

Each part is pushed on the caller's UndoStack as soon as it stands.
"""

import os
from contextlib import suppress

from wherry.engine.containers.attach_requests import AttachRequests
from wherry.engine.containers.links import followers, linked
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.spawn_requests import SpawnRequests
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.model.containers import Container
from wherry.model.errors import WherryError
from wherry.model.errors.networks import NetworkingFailed
from wherry.model.ids import ContainerId
from wherry.networks import Networks, Sandbox, rename_host
from wherry.operations.journal_files import write_journal
from wherry.operations.plan import journal_of
from wherry.tasks import SpawnRequest, Task, Tasks


class ContainerAssembly:
    """Makes what a start needs, up to a parked init."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        networks: Networks,
        tasks: Tasks,
        volumes: ContainerVolumes,
        attach_requests: AttachRequests,
        spawn_requests: SpawnRequests,
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._live = live
        self._networks = networks
        self._tasks = tasks
        self._volumes = volumes
        self._attach_requests = attach_requests
        self._spawn_requests = spawn_requests
        self._paths = paths
        self._offload = offload

    async def assemble(self, container: Container, undo: UndoStack) -> tuple[Task, Sandbox]:
        """Everything up to the moment before execve.

        Raises: StartFailed, CommandNotFound, CommandNotExecutable, UserNotFound,
        JoinedContainerNotRunning, LinkedContainerNotRunning, NetworkingFailed, VolumeNotFound,
        InvalidRequest kinds.
        """
        container = linked(await self._volumes.hold(container, undo), self._records)
        undo.push(self._networks.detach, container.id)
        wish = self._attach_requests.of(container)
        try:
            sandbox = await self._networks.attach(wish)
        except WherryError as error:
            await self._offload(self._keep_failed_connection, container.id, error)
            raise NetworkingFailed(error) from error
        undo.push(self._offload, self._paths.erase_bundle, container.id)
        request = await self._offload(self._spawn_request, container, sandbox)
        task = await self._tasks.spawn(request)
        undo.push(task.discard)
        return task, sandbox

    async def follow_links(self, target: Container) -> None:
        """Tell the containers that are linked to one where it is now."""
        for container, names, address in followers(target, self._records.all()):
            sandbox = self._live.sandbox(container.id)
            if sandbox is not None and address:
                await self._offload(rename_host, sandbox.hosts_path, names, address)

    # -- steps -------------------------------------------------------------------------------

    def _keep_failed_connection(self, container_id: ContainerId, error: BaseException) -> None:
        """Have `explain` tell of this start, as far as it came, and not of an earlier one."""
        write_journal(self._paths.network_journal(container_id), journal_of(error))
        self._forget_earlier_start(container_id)

    def _forget_earlier_start(self, container_id: ContainerId) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._paths.journal(container_id))

    def _spawn_request(self, container: Container, sandbox: Sandbox) -> SpawnRequest:
        """The shim's order, once the bundle is there and nothing tells of an earlier start."""
        os.makedirs(self._paths.bundle(container.id), mode=0o700, exist_ok=True)
        write_journal(self._paths.network_journal(container.id), sandbox.journal)
        with suppress(FileNotFoundError):
            os.unlink(self._paths.update_journal(container.id))
        self._forget_earlier_start(container.id)
        return self._spawn_requests.of(container, sandbox)
