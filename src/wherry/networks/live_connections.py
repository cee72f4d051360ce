"""Containers that run: one network more, or one less.

The way out may be another endpoint afterwards: default route and published ports are moved to it
(`ways_out`), after a link has come and before one goes. Then what the container may ask of its
name server changes, and last its files.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from wherry.kit.aio import UndoStack
from wherry.model.errors.networks import ConnectionRefused
from wherry.model.networks import EndpointStatus, EndpointWish, Network
from wherry.networks.endpoint_choices import with_way_out
from wherry.networks.endpoint_options import sysctls_of
from wherry.networks.joins import Attached, Joins
from wherry.networks.leases import Leases
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.names.container_names import ContainerNames
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs
from wherry.networks.uninterrupted import to_its_end
from wherry.networks.ways_out import WaysOut

RefreshFiles = Callable[[AttachRequest, Sequence[EndpointStatus]], Awaitable[None]]


class LiveConnections:
    """Connects and disconnects."""

    def __init__(
        self,
        *,
        networks: MadeNetworks,
        leases: Leases,
        joins: Joins,
        ways_out: WaysOut,
        names: ContainerNames,
        jobs: NamespaceJobs,
        refresh_files: RefreshFiles,
    ) -> None:
        self._networks, self._leases, self._joins = networks, leases, joins
        self._ways_out = ways_out
        self._names, self._jobs, self._refresh_files = names, jobs, refresh_files

    async def connect(
        self, attached: Attached, network: Network, request: AttachRequest, wish: EndpointWish
    ) -> None:
        """One network more; as before if it fails.

        Raises: ConnectionRefused, AddressTaken, StepFailed.
        """
        made, path = self._networks.of(network), attached.namespace_path
        before = attached.endpoints
        async with self._inside(path) as container_netlink, UndoStack() as undo:
            endpoint = await self._leases.lease(
                undo, made, request, wish, namespace_path=path, others=attached.endpoints
            )
            wishes = {each.network: each for each in request.network.endpoints}
            after = with_way_out([*attached.endpoints, endpoint], wishes | {network.name: wish})
            undo.push(self._joins.delete_link, path, after[-1])
            await to_its_end(
                self._joins.join(
                    path,
                    container_netlink,
                    [after[-1]],
                    sysctls=sysctls_of(wish, endpoint.interface),
                )
            )
            await self._ways_out.move(undo, attached, after, request, container_netlink)
            await self._tell(undo, attached, request, before)
            undo.keep()

    async def disconnect(
        self, attached: Attached, leaving: EndpointStatus, network: Network, request: AttachRequest
    ) -> None:
        """One network less. Raises: ConnectionRefused, StepFailed."""
        if network.driver == "host":
            raise ConnectionRefused("container cannot be disconnected from host network")
        path = attached.namespace_path
        before = attached.endpoints
        rest = [each for each in before if each is not leaving]
        after = with_way_out(rest, {each.network: each for each in request.network.endpoints})
        async with self._inside(path) as container_netlink, UndoStack() as undo:
            await self._ways_out.move(undo, attached, after, request, container_netlink)
            await self._tell(undo, attached, request, before)
            undo.keep()
        if leaving.is_connected:
            await self._joins.delete_link(path, leaving)
            await self._leases.give_back(leaving)

    async def _tell(
        self,
        undo: UndoStack,
        attached: Attached,
        request: AttachRequest,
        before: Sequence[EndpointStatus],
    ) -> None:
        """Have name server and files say what is so now."""
        path, spec = attached.namespace_path, request.network
        undo.push(self._names.serve, request.container_id, path, before, spec)
        await self._names.serve(request.container_id, path, attached.endpoints, spec)
        undo.push(self._refresh_files, request, before)
        await self._refresh_files(request, attached.endpoints)

    @asynccontextmanager
    async def _inside(self, path: str) -> AsyncIterator[int]:
        """A netlink socket inside a namespace."""
        descriptor = await self._jobs.open_netlink(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
