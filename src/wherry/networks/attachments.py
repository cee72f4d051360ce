"""Containers on networks: attached at a start, detached at an end, taken over at a boot.

What a container gets at its start, in order, and gives back in reverse:

    addresses   on each of its networks, from their pools
    host ports  from netd; they lead to its way out
    files       hosts, resolv.conf, hostname
    namespace   from whoever may make one
    links       a veth pair for each network; then addresses, the default route, and the ports

One endpoint is the *way out*: its gateway is the container's default route, and what the
container publishes leads to its addresses. What changes while it runs is for `live_connections`
and `republishing`.
"""

import asyncio
import os
from collections.abc import Sequence, Set

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.values import replace
from wherry.model.containers import NetworkSpec
from wherry.model.errors.networks import AlreadyConnected, NotConnected
from wherry.model.ids import ContainerId
from wherry.model.networks import (
    EndpointStatus,
    EndpointWish,
    Network,
    PortBinding,
    PublishedPort,
)
from wherry.networks.endpoint_choices import (
    check_may_connect,
    endpoint_without_address,
    wishes_of,
    with_way_out,
)
from wherry.networks.endpoint_options import sysctls_of
from wherry.networks.filter_repair import FilterRepair
from wherry.networks.half_changes import HalfChanges
from wherry.networks.joins import Attached, Joins
from wherry.networks.leases import Leases
from wherry.networks.live_connections import LiveConnections
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.names.container_names import ContainerNames
from wherry.networks.names.name_files import (
    HOSTNAME,
    HOSTS,
    RESOLV_CONF,
    refresh_private_files,
    write_host_files,
    write_private_files,
)
from wherry.networks.network_table import NetworkTable
from wherry.networks.ports import published_ports
from wherry.networks.ports.host_ports import HostPorts
from wherry.networks.republishing import Republishing
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs, Sandbox
from wherry.networks.uninterrupted import to_its_end
from wherry.networks.ways_out import WaysOut
from wherry.operations.plan import Journal


class Attachments:
    """Every container's networks."""

    def __init__(
        self,
        *,
        namespaces: str,
        table: NetworkTable,
        networks: MadeNetworks,
        ports: HostPorts,
        names: ContainerNames,
        jobs: NamespaceJobs,
        offload: OffloadPool,
        changing: asyncio.Lock,
    ) -> None:
        """`namespaces` is the directory where network namespaces are kept.

        `changing` is held while networks are made or removed.
        """
        self._namespaces = namespaces
        self._table, self._networks, self._ports = table, networks, ports
        self._names = names
        self._jobs, self._offload = jobs, offload
        self._attached: dict[ContainerId, Attached] = {}
        self._repair = FilterRepair(networks, self._attached.values, offload, changing)
        self._leases = Leases(networks, offload)
        self._joins = Joins(
            networks=networks, jobs=jobs, offload=offload, repair=self._repair.bring_back
        )
        self._ways_out = WaysOut(
            networks=networks, ports=ports, offload=offload, publishing=self._repair.publishing
        )
        self._live = LiveConnections(
            networks=networks,
            leases=self._leases,
            joins=self._joins,
            ways_out=self._ways_out,
            names=names,
            jobs=jobs,
            refresh_files=self._refresh_files,
        )
        self._half_changes = HalfChanges(
            networks=networks, joins=self._joins, jobs=jobs, offload=offload
        )
        self._republishing = Republishing(ports=ports, networks=networks, offload=offload)
        self._host_gateway = ""

    # -- lifecycle ---------------------------------------------------------------------------

    async def open(self, *, host_gateway: str) -> None:
        """Find what an engine before us left. Raises: StepFailed.

        `host_gateway` is the host's address on the default bridge; empty without one.
        """
        self._host_gateway = host_gateway
        await self._ports.open()
        await self._names.open()

    async def close(self) -> None:
        """Let go; containers that live on keep their network."""
        await self._joins.close()
        self._ports.close()

    async def remove_everything(self) -> None:
        """Detach every container, and end netd. Raises: StepFailed."""
        for container_id in tuple(self._attached):
            await self.detach(container_id)
        await self.sweep(frozenset())
        await self._joins.settled()
        await self._ports.end()

    # -- containers --------------------------------------------------------------------------

    async def attach(self, request: AttachRequest) -> Sandbox:
        """Give a container its networks; nothing is left when it fails.

        Raises: PortInUse, AddressesExhausted, AddressTaken, NetworkNotFound, InvalidValue,
        FeatureMissing, StepFailed.
        """
        if request.joined is not None:
            return Sandbox(
                namespace_path=request.joined.namespace_path,
                endpoints=(),
                hosts_path=request.joined.hosts_path,
                resolv_conf_path=request.joined.resolv_conf_path,
                hostname_path=request.joined.hostname_path,
            )
        await self.detach(request.container_id)
        wishes = wishes_of(self._table, request.network, has_bridge=bool(self._host_gateway))
        network = self._table.find(wishes[0].network)
        path = self._namespace_path(request.container_id)
        match network.driver:
            case "host":
                await self._offload(write_host_files, request, gateway=self._host_gateway)
                attached = Attached("", [endpoint_without_address(network)])
                journal: Journal = []
            case "null":
                journal = await self._attach_to_nothing(request, path)
                attached = Attached(path, [endpoint_without_address(network)])
            case _:
                attached, journal = await self._attach_to_networks(request, wishes, path)
        self._attached[request.container_id] = attached
        endpoints = tuple(attached.endpoints)
        return _sandbox(attached.namespace_path, endpoints, request.files_directory, journal)

    async def detach(self, container_id: ContainerId) -> None:
        """Take a container's networks away. Doing so twice is no error."""
        attached = self._attached.pop(container_id, None)
        if attached is not None:
            await self._repair.finished()
            await self._end(container_id, attached)

    async def connect(
        self, request: AttachRequest, wish: EndpointWish
    ) -> tuple[EndpointStatus, ...]:
        """Connect a running container to one more network; all of its endpoints then.

        Raises: AlreadyConnected, ConnectionRefused, AddressTaken, NetworkNotFound, StepFailed.
        """
        network = self._table.find(wish.network)
        attached = self._attached.get(request.container_id) or Attached("")
        self.check_may_connect(request.network, attached.endpoints, network)
        if any(each.network_id == network.id for each in attached.endpoints):
            raise AlreadyConnected(request.container_name, network.name)
        await self._live.connect(attached, network, request, wish)
        return tuple(attached.endpoints)

    def check_may_connect(
        self, spec: NetworkSpec, endpoints: Sequence[EndpointStatus], network: Network
    ) -> None:
        """Whether a container may join one more network. Raises: ConnectionRefused."""
        check_may_connect(self._table, spec, endpoints, network)

    async def disconnect(
        self, request: AttachRequest, network: Network
    ) -> tuple[EndpointStatus, ...]:
        """Take a running container off one network; its endpoints then.

        Raises: NotConnected, ConnectionRefused, StepFailed.
        """
        attached = self._attached.get(request.container_id)
        leaving = None
        if attached is not None:
            found = (each for each in attached.endpoints if each.network_id == network.id)
            leaving = next(found, None)
        if attached is None or leaving is None:
            raise NotConnected(request.container_id, network.name)
        await self._live.disconnect(attached, leaving, network, request)
        return tuple(attached.endpoints)

    async def republish(
        self,
        request: AttachRequest,
        *,
        kept: Sequence[PublishedPort],
        added: Sequence[PortBinding],
        keeps_flows: bool,
    ) -> tuple[tuple[EndpointStatus, ...], Journal]:
        """Publish other ports of a running container; all of its endpoints then.

        Raises: ConnectionRefused, PortInUse, FeatureMissing, StepFailed.
        """
        attached = self._attached.get(request.container_id) or Attached("")
        async with self._repair.publishing:
            journal = await self._republishing.change(
                attached, request, kept=kept, added=added, keeps_flows=keeps_flows
            )
        return tuple(attached.endpoints), journal

    async def restore(
        self, request: AttachRequest, endpoints: tuple[EndpointStatus, ...]
    ) -> Sandbox:
        """At boot: take over the addresses and ports of a container that lives.

        A container in another's namespace has no endpoints and nothing to restore; its sandbox
        is the other's. Raises: StepFailed.
        """
        container_id = request.container_id
        path = self._namespace_path(container_id)
        if not await self._offload(os.path.exists, path):
            path = ""
        for endpoint in endpoints:
            made = self._networks.find(endpoint.network_id)
            if endpoint.is_connected and made is not None:
                made.take(endpoint)
            if endpoint.published:
                wishes = published_ports.wishes_again(endpoint.published)
                await self._ports.hold_again(container_id, endpoint, wishes)
        if path:
            await self._names.serve(container_id, path, endpoints, request.network)
            await self._refresh_files(request, endpoints)
        self._attached[container_id] = Attached(path, list(endpoints))
        return _sandbox(path, endpoints, request.files_directory, [])

    async def give_back(self, endpoints: Sequence[EndpointStatus]) -> None:
        """At boot: let go of what a container had that ended while no daemon ran."""
        for endpoint in endpoints:
            if endpoint.is_connected:
                await self._leases.give_back(endpoint)

    async def sweep(self, living: Set[ContainerId]) -> None:
        """At boot, after every `restore`: remove what belongs to no living container.

        Ports that living containers lost meanwhile are published again. Raises: StepFailed.
        """
        for name in await self._offload(os.listdir, self._namespaces):
            if name not in living:
                await self.detach(ContainerId(name))
                await self._joins.release_namespace(self._namespace_path(ContainerId(name)))
        await self._names.sweep(tuple(living))
        publishing = {
            container_id
            for container_id, attached in self._attached.items()
            if any(each.published for each in attached.endpoints)
        }
        for owner in await self._ports.owners():
            if owner not in publishing:
                await self._ports.release(ContainerId(owner))
        await self._half_changes.take_back(self._attached.values())
        await self._repair.settle()

    async def repair(self) -> None:
        """Bring back what somebody took out of the packet filter. Raises: StepFailed."""
        await self._repair.bring_back()

    # -- attaching ---------------------------------------------------------------------------

    async def _attach_to_networks(
        self, request: AttachRequest, wishes: Sequence[EndpointWish], path: str
    ) -> tuple[Attached, Journal]:
        async with UndoStack() as undo:
            leased: list[EndpointStatus] = []
            for wish in wishes:
                made = self._networks.of(self._table.find(wish.network))
                leased.append(
                    await self._leases.lease(
                        undo, made, request, wish, namespace_path=path, others=leased
                    )
                )
            endpoints = with_way_out(leased, {each.network: each for each in wishes})
            attached = Attached(path, endpoints)
            undo.push(self._ports.release, request.container_id)
            await self._publish(request, attached)
            await self._write_files(request, attached.endpoints)
            undo.push(self._leave, request.container_id, attached)
            sysctls = [
                each
                for wish, endpoint in zip(wishes, leased, strict=True)
                for each in sysctls_of(wish, endpoint.interface)
            ]
            journal = await to_its_end(
                self._joins.make(attached, request.id_maps, sysctls=sysctls)
            )
            journal += self._networks.doors()
            undo.push(self._names.forget, request.container_id)
            journal += await self._names.serve(
                request.container_id, path, attached.endpoints, request.network
            )
            undo.keep()
        return attached, journal

    async def _publish(self, request: AttachRequest, attached: Attached) -> None:
        """Reserve what the container publishes, on the way out."""
        way_out = attached.way_out
        if way_out is not None:
            published = await self._ways_out.publish(way_out, request)
            attached.endpoints = [
                replace(each, published=published) if each is way_out else each
                for each in attached.endpoints
            ]

    # -- detaching ---------------------------------------------------------------------------

    async def _end(self, container_id: ContainerId, attached: Attached) -> None:
        await self._leave(container_id, attached)
        if any(each.published for each in attached.endpoints):
            await self._ports.release(container_id)
        for endpoint in attached.endpoints:
            await self._leases.give_back(endpoint)

    async def _leave(self, container_id: ContainerId, attached: Attached) -> None:
        await self._names.forget(container_id)
        await self._joins.end(container_id, attached)

    # -- to nothing --------------------------------------------------------------------------

    async def _attach_to_nothing(self, request: AttachRequest, path: str) -> Journal:
        await self._write_files(request, [])
        async with UndoStack() as undo:
            undo.push(self._joins.release_namespace, path)
            journal = await to_its_end(self._joins.make_empty(path, request.id_maps))
            undo.keep()
        return journal

    # -- small questions ---------------------------------------------------------------------

    def _namespace_path(self, container_id: ContainerId) -> str:
        return os.path.join(self._namespaces, container_id)

    async def _write_files(
        self, request: AttachRequest, endpoints: Sequence[EndpointStatus]
    ) -> None:
        await self._offload(
            write_private_files, request, endpoints=endpoints, gateway=self._host_gateway
        )

    async def _refresh_files(
        self, request: AttachRequest, endpoints: Sequence[EndpointStatus]
    ) -> None:
        await self._offload(
            refresh_private_files, request, endpoints=endpoints, gateway=self._host_gateway
        )


def _sandbox(
    path: str,
    endpoints: tuple[EndpointStatus, ...],
    files_directory: str,
    journal: Journal,
) -> Sandbox:
    return Sandbox(
        namespace_path=path,
        endpoints=endpoints,
        hosts_path=os.path.join(files_directory, HOSTS),
        resolv_conf_path=os.path.join(files_directory, RESOLV_CONF),
        hostname_path=os.path.join(files_directory, HOSTNAME),
        journal=journal,
    )
