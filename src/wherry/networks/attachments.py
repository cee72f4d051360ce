"""Containers on networks: attached at a start, connected and disconnected while they run.

What a container gets at its start, in order, and gives back in reverse:

    addresses   on each of its networks, from their pools
    host ports  from netd; they lead to its way out
    files       hosts, resolv.conf, hostname
    namespace   from whoever may make one
    links       a veth pair for each network; then addresses, the default route, and the ports

One endpoint is the *way out*: its gateway is the container's default route, and what the
container publishes leads to its addresses. When a network comes or goes, that may change, and
route and ports follow.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.random_ids import new_id, short_id
from wherry.model.containers import NetworkSpec
from wherry.model.errors import (
    AlreadyConnected,
    ConnectionRefused,
    NetworkNotFound,
    NotConnected,
)
from wherry.model.ids import ContainerId, EndpointId
from wherry.model.networks import EndpointStatus, EndpointWish, Network, NetworkModeKind
from wherry.networks import connections, default_networks, host_bridge, published_ports
from wherry.networks.bridge_network import BridgeNetwork
from wherry.networks.bridges import Bridges
from wherry.networks.container_names import ContainerNames
from wherry.networks.drivers import bridge as bridge_driver
from wherry.networks.host_ports import HostPorts
from wherry.networks.name_files import (
    HOSTNAME,
    HOSTS,
    RESOLV_CONF,
    write_host_files,
    write_private_files,
)
from wherry.networks.network_table import NetworkTable
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs, Sandbox
from wherry.networks.uninterrupted import to_its_end
from wherry.operations import journal as journals
from wherry.operations.plan import Journal, Operation, OperationFailed, Plan

_log = logging.getLogger(__name__)

_LINGER_S = 0.3
"""How long after a container's end its veth pair may live before we delete it ourselves."""


@dataclass(slots=True)
class _Attached:
    """How a container is connected now."""

    namespace_path: str
    """Empty for the host's."""
    endpoints: list[EndpointStatus] = field(default_factory=list)

    @property
    def way_out(self) -> EndpointStatus | None:
        """The endpoint of the default route, whose addresses published ports lead to."""
        return next((each for each in self.endpoints if each.is_way_out), None)


class Attachments:
    """Every container's networks."""

    def __init__(
        self,
        *,
        namespaces: str,
        table: NetworkTable,
        bridges: Bridges,
        ports: HostPorts,
        names: ContainerNames,
        jobs: NamespaceJobs,
        offload: OffloadPool,
    ) -> None:
        """`namespaces` is the directory where network namespaces are kept."""
        self._namespaces = namespaces
        self._table, self._bridges, self._ports = table, bridges, ports
        self._names = names
        self._jobs, self._offload = jobs, offload
        self._attached: dict[ContainerId, _Attached] = {}
        self._lingering: set[asyncio.Task[None]] = set()
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
        for task in self._lingering:
            task.cancel()
        await asyncio.gather(*self._lingering, return_exceptions=True)
        self._ports.close()

    async def remove_everything(self) -> None:
        """Detach every container, and end netd. Raises: StepFailed."""
        for container_id in tuple(self._attached):
            await self.detach(container_id)
        await self.sweep(frozenset())
        await asyncio.gather(*self._lingering, return_exceptions=True)
        await self._ports.end()

    # -- containers --------------------------------------------------------------------------

    async def attach(self, request: AttachRequest) -> Sandbox:
        """Give a container its networks; nothing is left when it fails.

        Raises: PortInUse, AddressPoolExhausted, AddressTaken, NetworkNotFound, InvalidValue,
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
        wishes = self.wishes_of(request.network)
        network = self._table.find(wishes[0].network)
        path = self._namespace_path(request.container_id)
        match network.driver:
            case "host":
                await self._offload(write_host_files, request, gateway=self._host_gateway)
                attached = _Attached("", [_endpoint_without_address(network)])
                journal: Journal = []
            case "null":
                journal = await self._attach_to_nothing(request, path)
                attached = _Attached(path, [_endpoint_without_address(network)])
            case _:
                attached, journal = await self._attach_to_bridges(request, wishes, path)
        self._attached[request.container_id] = attached
        endpoints = tuple(attached.endpoints)
        return _sandbox(attached.namespace_path, endpoints, request.files_directory, journal)

    async def detach(self, container_id: ContainerId) -> None:
        """Take a container's networks away. Doing so twice is no error."""
        attached = self._attached.pop(container_id, None)
        if attached is not None:
            await self._end(container_id, attached)

    async def connect(
        self, request: AttachRequest, wish: EndpointWish
    ) -> tuple[EndpointStatus, ...]:
        """Connect a running container to one more network; all of its endpoints then.

        Raises: AlreadyConnected, ConnectionRefused, AddressTaken, NetworkNotFound, StepFailed.
        """
        attached = self._attached.get(request.container_id)
        network = self._table.find(wish.network)
        _check_may_connect(attached, network, request)
        assert attached is not None
        made = self._bridges.of(network)
        async with UndoStack() as undo:
            interface = _free_interface(attached, made.settings.interface_prefix)
            endpoint = self._named(made.lease(wish, interface=interface), request, wish)
            undo.push(self._give_back, endpoint)
            wishes = {each.network: each for each in request.network.endpoints}
            after = self._with_way_out([*attached.endpoints, endpoint], wishes | {"": wish})
            container_netlink = await self._jobs.open_netlink(attached.namespace_path)
            try:
                undo.push(self._delete_link, endpoint)
                await to_its_end(
                    self._join(attached.namespace_path, container_netlink, [after[-1]])
                )
                await self._move_way_out(request, attached, after, container_netlink)
            finally:
                os.close(container_netlink)
            await self._names.serve(
                request.container_id, attached.namespace_path, after, request.network
            )
            undo.keep()
        attached.endpoints = after
        await self._offload(
            write_private_files, request, endpoints=after, gateway=self._host_gateway
        )
        return tuple(after)

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
        if network.driver == "host":
            raise ConnectionRefused("container cannot be disconnected from host network")
        rest = [each for each in attached.endpoints if each is not leaving]
        wishes = {each.network: each for each in request.network.endpoints}
        after = self._with_way_out(rest, wishes)
        container_netlink = await self._jobs.open_netlink(attached.namespace_path)
        try:
            await self._move_way_out(request, attached, after, container_netlink)
        finally:
            os.close(container_netlink)
        await self._names.serve(
            request.container_id, attached.namespace_path, after, request.network
        )
        await self._delete_link(leaving)
        await self._give_back(leaving)
        attached.endpoints = after
        await self._offload(
            write_private_files, request, endpoints=after, gateway=self._host_gateway
        )
        return tuple(after)

    async def restore(
        self,
        container_id: ContainerId,
        endpoints: tuple[EndpointStatus, ...],
        files_directory: str,
        spec: NetworkSpec,
    ) -> Sandbox:
        """At boot: take over the addresses and ports of a container that lives.

        A container in another's namespace has no endpoints and nothing to restore; its sandbox
        is the other's. Raises: StepFailed.
        """
        path = self._namespace_path(container_id)
        if not await self._offload(os.path.exists, path):
            path = ""
        for endpoint in endpoints:
            made = self._bridges.find(endpoint.network_id)
            if endpoint.is_connected and made is not None:
                made.take(endpoint)
            if endpoint.published:
                await self._ports.hold_again(
                    container_id,
                    target=endpoint.address or endpoint.ipv6_address,
                    wishes=published_ports.wishes_again(endpoint.published),
                )
        if path:
            await self._names.serve(container_id, path, endpoints, spec)
        self._attached[container_id] = _Attached(path, list(endpoints))
        return _sandbox(path, endpoints, files_directory, [])

    async def sweep(self, living: Set[ContainerId]) -> None:
        """At boot, after every `restore`: remove what belongs to no living container.

        Ports that living containers lost meanwhile are published again. Raises: StepFailed.
        """
        for name in await self._offload(os.listdir, self._namespaces):
            if name not in living:
                await self.detach(ContainerId(name))
                await self._release_namespace(self._namespace_path(ContainerId(name)))
        await self._names.sweep(tuple(living))
        for owner in await self._ports.owners():
            if owner not in living:
                await self._ports.release(ContainerId(owner))
        if self._bridges:
            addresses = [
                address
                for each in self._attached.values()
                for endpoint in each.endpoints
                for address in (endpoint.address, endpoint.ipv6_address)
                if address
            ]
            await self._offload(
                connections.remove_stray_ports,
                self._bridges.table,
                addresses,
                packet_filter=self._bridges.packet_filter,
            )
            await self._publish_missing()

    def wishes_of(self, spec: NetworkSpec) -> Sequence[EndpointWish]:
        """The networks that a container is to be on: that of its mode first, then by name.

        Raises: NetworkNotFound.
        """
        first = self._network_of(spec)
        wishes = {self._table.find(each.network).id: each for each in spec.endpoints}
        if wishes and first.id not in wishes and first.driver not in ("host", "null"):
            # It was disconnected from the network that it was created on.
            first = self._table.find(min(wishes))
        mine = wishes.pop(first.id, None) or EndpointWish(network=first.name)
        mine = replace(mine, mac_address=mine.mac_address or spec.mac_address)
        others = sorted(wishes.items(), key=lambda item: self._table.find(item[0]).name)
        named = [(first, mine), *((self._table.find(key), each) for key, each in others)]
        return [replace(each, network=network.name) for network, each in named]

    # -- attaching ---------------------------------------------------------------------------

    async def _attach_to_bridges(
        self, request: AttachRequest, wishes: Sequence[EndpointWish], path: str
    ) -> tuple[_Attached, Journal]:
        async with UndoStack() as undo:
            leased = []
            for index, wish in enumerate(wishes):
                made = self._bridges.of(self._table.find(wish.network))
                interface = f"{made.settings.interface_prefix}{index}"
                leased.append(self._named(made.lease(wish, interface=interface), request, wish))
                undo.push(self._give_back, leased[-1])
            endpoints = self._with_way_out(leased, {each.network: each for each in wishes})
            attached = _Attached(path, endpoints)
            undo.push(self._ports.release, request.container_id)
            await self._reserve_ports(request, attached)
            await self._write_files(request, attached.endpoints)
            undo.push(self._disconnect, request.container_id, attached)
            journal = await to_its_end(self._connect_all(attached))
            undo.push(self._names.forget, request.container_id)
            journal += await self._names.serve(
                request.container_id, path, attached.endpoints, request.network
            )
            undo.keep()
        return attached, journal

    async def _reserve_ports(self, request: AttachRequest, attached: _Attached) -> None:
        """Reserve what the container publishes, on the way out."""
        way_out = attached.way_out
        if way_out is None:
            return
        wishes = published_ports.wishes_of(
            request.network,
            has_ipv6=host_bridge.has_ipv6(),
            default_address=self._made(way_out).settings.host_address,
        )
        ports = await self._ports.reserve(
            request.container_id,
            request.container_name,
            target=way_out.address or way_out.ipv6_address,
            wishes=wishes,
        )
        published = published_ports.published_of(wishes, ports)
        attached.endpoints = [
            replace(each, published=published) if each is way_out else each
            for each in attached.endpoints
        ]

    async def _connect_all(self, attached: _Attached) -> Journal:
        """Make the namespace and join it to its networks."""
        path = attached.namespace_path
        container_netlink, lines = await self._jobs.make_network_namespace(path)
        try:
            journal = await self._join(
                path, container_netlink, attached.endpoints, first=bridge_driver.loopback_up(path)
            )
            way_out = attached.way_out
            if way_out is not None:
                journal += await self._perform(
                    path, container_netlink, self._way_out_plan(path, way_out)
                )
        finally:
            os.close(container_netlink)
        return journals.from_json(lines) + journal

    async def _join(
        self,
        path: str,
        container_netlink: int,
        endpoints: Sequence[EndpointStatus],
        *,
        first: Operation | None = None,
    ) -> Journal:
        """Links, then addresses; an interface is told in between that it may have IPv6."""
        links: list[Operation] = [first] if first is not None else []
        addresses: list[Operation] = []
        for each in endpoints:
            made = self._made(each)
            link, address = made.plans(each, path, _why(made.network))
            links += link
            addresses += address
        with_ipv6 = [each for each in endpoints if each.ipv6_address]
        if not with_ipv6:
            return await self._perform(path, container_netlink, (*links, *addresses))
        journal = await self._perform(path, container_netlink, tuple(links))
        for each in with_ipv6:
            name = f"net/ipv6/conf/{each.interface}/disable_ipv6"
            lines = await self._jobs.set_sysctl(path, name, "0")
            journal += journals.from_json(lines)
        return journal + await self._perform(path, container_netlink, tuple(addresses))

    def _way_out_plan(self, path: str, way_out: EndpointStatus) -> Plan:
        routes = self._made(way_out).way_out(path)
        published = connections.publish_again(self._bridges.table, way_out)
        return (*routes, published) if published.ports else routes

    async def _perform(self, path: str, container_netlink: int, plan: Plan) -> Journal:
        """Do a plan; once more when our table had been removed."""
        for has_repaired in (False, True):
            try:
                return await self._offload(
                    connections.connect,
                    plan,
                    namespace_path=path,
                    container_netlink=container_netlink,
                    packet_filter=self._bridges.packet_filter,
                )
            except OperationFailed as failed:
                if has_repaired or not connections.is_table_missing(failed):
                    raise connections.as_step_failed(failed) from failed
                _log.warning("networks.table_missing")
                await self._bridges.bring_up()
                await self._publish_missing()
        raise AssertionError("the second attempt returns or raises")

    async def _move_way_out(
        self,
        request: AttachRequest,
        attached: _Attached,
        after: list[EndpointStatus],
        container_netlink: int,
    ) -> None:
        """Let the default route and the published ports follow from one endpoint to another."""
        before = attached.way_out
        now = next((each for each in after if each.is_way_out), None)
        if (before and before.endpoint_id) == (now and now.endpoint_id):
            return
        path = attached.namespace_path
        published = before.published if before is not None else ()
        if before is not None:
            problems = await self._offload(
                connections.undo_inside,
                self._way_out_plan(path, before),
                container_netlink=container_netlink,
            )
            for problem in problems:
                _log.warning(
                    "networks.way_out_left container=%s %s", request.container_id, problem
                )
        if now is not None:
            moved = replace(now, published=published)
            after[after.index(now)] = moved
            if published:
                await self._ports.hold_at(
                    request.container_id,
                    target=moved.address or moved.ipv6_address,
                    wishes=published_ports.wishes_again(published),
                )
            await self._perform(path, container_netlink, self._way_out_plan(path, moved))

    # -- detaching ---------------------------------------------------------------------------

    async def _end(self, container_id: ContainerId, attached: _Attached) -> None:
        await self._disconnect(container_id, attached)
        if any(each.published for each in attached.endpoints):
            await self._ports.release(container_id)
        for endpoint in attached.endpoints:
            await self._give_back(endpoint)

    async def _disconnect(self, container_id: ContainerId, attached: _Attached) -> None:
        """End the namespace; links go with it, in the background."""
        await self._names.forget(container_id)
        if not attached.namespace_path:
            return
        way_out = attached.way_out
        published = (
            connections.publish_again(self._bridges.table, way_out)
            if way_out is not None and way_out.published
            else None
        )
        problems = await self._offload(
            connections.disconnect,
            attached.namespace_path,
            published,
            packet_filter=self._bridges.packet_filter,
        )
        for problem in problems:
            _log.warning("networks.detach_incomplete container=%s %s", container_id, problem)
        for endpoint in attached.endpoints:
            if endpoint.is_connected:
                self._delete_if_it_lingers(endpoint)

    def _delete_if_it_lingers(self, endpoint: EndpointStatus) -> None:
        interface = connections.host_interface_name(endpoint.endpoint_id)
        task = asyncio.create_task(self._delete_lingering(interface))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def _delete_lingering(self, interface: str) -> None:
        """A namespace that others joined keeps its veth pair: look again a moment later."""
        await asyncio.sleep(_LINGER_S)
        with contextlib.suppress(OSError):
            await self._offload(connections.delete_lingering, interface)

    async def _delete_link(self, endpoint: EndpointStatus) -> None:
        """Take a link away from a container that lives on."""
        interface = connections.host_interface_name(endpoint.endpoint_id)
        await self._offload(connections.delete_lingering, interface)

    async def _give_back(self, endpoint: EndpointStatus) -> None:
        made = self._bridges.find(endpoint.network_id)
        if made is not None:
            made.release(endpoint)

    # -- to nothing --------------------------------------------------------------------------

    async def _attach_to_nothing(self, request: AttachRequest, path: str) -> Journal:
        await self._write_files(request, [])
        async with UndoStack() as undo:
            undo.push(self._release_namespace, path)
            journal = await to_its_end(self._make_empty_namespace(path))
            undo.keep()
        return journal

    async def _make_empty_namespace(self, path: str) -> Journal:
        container_netlink, lines = await self._jobs.make_network_namespace(path)
        try:
            done = await self._offload(
                connections.connect,
                (bridge_driver.loopback_up(path),),
                namespace_path=path,
                container_netlink=container_netlink,
            )
        except OperationFailed as failed:
            raise connections.as_step_failed(failed) from failed
        finally:
            os.close(container_netlink)
        return journals.from_json(lines) + done

    async def _release_namespace(self, path: str) -> None:
        for problem in await self._offload(connections.disconnect, path):
            _log.warning("networks.detach_incomplete path=%s %s", path, problem)

    # -- small questions ---------------------------------------------------------------------

    def _namespace_path(self, container_id: ContainerId) -> str:
        return os.path.join(self._namespaces, container_id)

    async def _write_files(
        self, request: AttachRequest, endpoints: Sequence[EndpointStatus]
    ) -> None:
        await self._offload(
            write_private_files, request, endpoints=endpoints, gateway=self._host_gateway
        )

    async def _publish_missing(self) -> None:
        ways_out = [each.way_out for each in self._attached.values()]
        await self._offload(
            connections.publish_missing_ports,
            self._bridges.table,
            [each for each in ways_out if each is not None and each.published],
            packet_filter=self._bridges.packet_filter,
        )

    def _made(self, endpoint: EndpointStatus) -> BridgeNetwork:
        """The bridge of an endpoint that was leased from it."""
        made = self._bridges.find(endpoint.network_id)
        assert made is not None, "a network with endpoints is not removed"
        return made

    def _network_of(self, spec: NetworkSpec) -> Network:
        if spec.is_disabled:
            return self._table.find(default_networks.NONE)
        match spec.mode.kind:
            case NetworkModeKind.DEFAULT:
                name = default_networks.BRIDGE if self._host_gateway else default_networks.NONE
                return self._table.find(name)
            case NetworkModeKind.NONE:
                return self._table.find(default_networks.NONE)
            case NetworkModeKind.HOST:
                return self._table.find(default_networks.HOST)
            case NetworkModeKind.NETWORK:
                return self._table.find(spec.mode.reference)
            case NetworkModeKind.CONTAINER:  # the caller knows the other one: `joined`
                raise NetworkNotFound(spec.mode.reference)

    def _named(
        self, endpoint: EndpointStatus, request: AttachRequest, wish: EndpointWish
    ) -> EndpointStatus:
        """An endpoint with the names by which others on a user's network find it."""
        if self._made(endpoint).network.is_builtin:
            return endpoint
        names = (
            request.container_name,
            *wish.aliases,
            short_id(request.container_id),
            request.hostname,
        )
        return replace(endpoint, names=tuple(dict.fromkeys(each for each in names if each)))

    def _with_way_out(
        self, endpoints: Sequence[EndpointStatus], wishes: Mapping[str, EndpointWish]
    ) -> list[EndpointStatus]:
        """The endpoints, one of which has the default route: by priority, then by name."""

        def order(endpoint: EndpointStatus) -> tuple[int, str]:
            wish = wishes.get(endpoint.network_name) or wishes.get("")
            return -(wish.gateway_priority if wish else 0), endpoint.network_name

        fit = [each for each in endpoints if each.gateway or each.ipv6_gateway]
        chosen = min(fit, key=order, default=None)
        return [replace(each, is_way_out=each is chosen) for each in endpoints]


def _check_may_connect(
    attached: _Attached | None, network: Network, request: AttachRequest
) -> None:
    if network.driver == "host":
        raise ConnectionRefused("container cannot be connected to host network")
    if attached is None or not attached.namespace_path:
        raise ConnectionRefused(
            "container sharing network namespace with another container or host cannot be "
            "connected to any other network"
        )
    if network.driver == "null" or any(not each.is_connected for each in attached.endpoints):
        raise ConnectionRefused(
            "container cannot be connected to multiple networks with one of the networks in "
            "private (none) mode"
        )
    if any(each.network_id == network.id for each in attached.endpoints):
        raise AlreadyConnected(request.container_name, network.name)


def _free_interface(attached: _Attached, prefix: str) -> str:
    taken = {each.interface for each in attached.endpoints}
    numbers = range(len(taken) + 1)
    return next(f"{prefix}{each}" for each in numbers if f"{prefix}{each}" not in taken)


def _why(network: Network) -> str:
    if network.is_builtin:
        return "--network bridge, the default"
    return f"--network {network.name}"


def _endpoint_without_address(network: Network) -> EndpointStatus:
    return EndpointStatus(
        endpoint_id=EndpointId(new_id()), network_id=network.id, network_name=network.name
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
