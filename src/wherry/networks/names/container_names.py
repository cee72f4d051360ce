"""Names of containers on users' networks: netd answers for them, this says what.

A container on a network of a user's has a resolver in its namespace; one on the default bridge
alone has none, as in Docker. What it may know is said anew whenever that changes.
"""

import os
from collections.abc import Sequence

from wherry.kit.aio import OffloadPool
from wherry.model.containers import NetworkSpec
from wherry.model.errors import StepFailed
from wherry.model.ids import ContainerId
from wherry.model.networks import EndpointStatus
from wherry.netd.protocol import Alias, Holding, NameService
from wherry.networks.names.name_files import host_name_servers
from wherry.networks.ports.keeper import NameKeeper
from wherry.networks.sandboxes import NamespaceJobs
from wherry.networks.uninterrupted import to_its_end
from wherry.operations import journal as journals
from wherry.operations.network.name_server import NAME_SERVER
from wherry.operations.plan import Journal


class ContainerNames:
    """Which containers have a resolver."""

    def __init__(self, keeper: NameKeeper, jobs: NamespaceJobs, offload: OffloadPool) -> None:
        self._keeper, self._jobs, self._offload = keeper, jobs, offload
        self._served: set[str] = set()

    async def open(self) -> None:
        """Find whom an engine before us serves. Raises: StepFailed."""
        try:
            self._served = set(await self._offload(self._keeper.resolvers))
        except OSError as error:
            raise StepFailed(step="ask netd", cause=_words(error)) from error

    async def serve(
        self,
        container_id: ContainerId,
        namespace_path: str,
        endpoints: Sequence[EndpointStatus],
        spec: NetworkSpec,
    ) -> Journal:
        """Let a container ask and be found, as its networks allow now. Raises: StepFailed.

        One that is on no user's network any more is served no longer.
        """
        named = [each for each in endpoints if each.names]
        if not named:
            await self.forget(container_id)
            return []
        return await to_its_end(self._serve(container_id, namespace_path, endpoints, spec))

    async def forget(self, container_id: ContainerId) -> None:
        """Serve a container no more. Doing so twice is no error. Raises: StepFailed."""
        if container_id in self._served:
            self._served.discard(container_id)
            try:
                await self._offload(self._keeper.forget, container_id)
            except OSError as error:
                raise StepFailed(step="forget names", cause=_words(error)) from error

    async def sweep(self, living: Sequence[ContainerId]) -> None:
        """At boot: serve nobody who does not live. Raises: StepFailed."""
        for owner in self._served - set(living):
            await self.forget(ContainerId(owner))

    async def _serve(
        self,
        container_id: ContainerId,
        namespace_path: str,
        endpoints: Sequence[EndpointStatus],
        spec: NetworkSpec,
    ) -> Journal:
        service = _service(endpoints, spec)
        journal: Journal = []
        sockets: tuple[int, ...] = ()
        if container_id not in self._served:
            sockets, lines = await self._jobs.open_resolver_sockets(namespace_path)
            journal = journals.from_json(lines)
        try:
            await self._offload(self._keeper.resolve, container_id, service, sockets)
        except OSError as error:
            raise StepFailed(step="serve names", cause=_words(error)) from error
        finally:
            for each in sockets:
                os.close(each)
        self._served.add(container_id)
        return journal


def _service(endpoints: Sequence[EndpointStatus], spec: NetworkSpec) -> NameService:
    """What a container may know: the names of its networks, and the rest if it may go out."""
    may_ask_outside = any(each.is_way_out for each in endpoints)
    # Its own name server would come back to itself.
    wished = tuple(each for each in spec.dns if each != NAME_SERVER)
    servers = (wished or host_name_servers()) if may_ask_outside else ()
    named = [each for each in endpoints if each.names]
    return NameService(
        networks=tuple(each.network_id for each in named),
        servers=servers,
        asks_from_inside=bool(wished),
        links=tuple(
            Alias(network_id=each.network_id, alias=alias, name=name)
            for each in named
            for name, _, alias in (link.partition(":") for link in each.links)
        ),
        holdings=tuple(
            Holding(
                network_id=each.network_id,
                network=each.network_name,
                endpoint=each.endpoint_id,
                names=each.names,
                addresses=tuple(filter(None, (each.address, each.ipv6_address))),
            )
            for each in named
        ),
    )


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
