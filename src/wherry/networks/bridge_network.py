"""The default bridge with its containers: addresses, published ports, connections.

What a container gets here, in order, and given back in reverse:

    address     from the pool
    host ports  from netd
    files       hosts, resolv.conf, hostname
    namespace   from whoever may make one
    the plan    veth pair, addresses, route, elements of the packet filter; one offload call
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Set
from ipaddress import IPv4Address, IPv4Interface

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.random_ids import new_id, short_id
from wherry.linux import nftables
from wherry.model.errors import PortInUse, StepFailed
from wherry.model.ids import ContainerId, EndpointId
from wherry.model.networks import EndpointStatus, Network
from wherry.netd.protocol import PortTaken, Wish
from wherry.networks import connections, host_bridge, published_ports
from wherry.networks.address_pools import AddressPool, mac_address_for
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings, EndpointPlan
from wherry.networks.mac_addresses import parse_mac_address
from wherry.networks.name_files import write_private_files
from wherry.networks.port_keeper import PortKeeper
from wherry.networks.port_owner import describe_port_owner
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs
from wherry.networks.uninterrupted import to_its_end
from wherry.operations import journal as journals
from wherry.operations.plan import Journal, OperationFailed, Plan

_log = logging.getLogger(__name__)

_LINGER_S = 0.3
"""How long after a container's end its veth pair may live before we delete it ourselves."""


class BridgeNetwork:
    """One bridge. `open` it first."""

    def __init__(
        self,
        *,
        name: str,
        bip: str,
        alias: str,
        jobs: NamespaceJobs,
        port_keeper: PortKeeper,
        offload: OffloadPool,
    ) -> None:
        self._name, self._bip, self._alias = name, bip, alias
        self._jobs, self._keeper, self._offload = jobs, port_keeper, offload
        self._endpoints: dict[ContainerId, EndpointStatus] = {}
        self._container_names: dict[ContainerId, str] = {}
        self._lingering: set[asyncio.Task[None]] = set()
        self._packet_filter = -1

    # -- lifecycle ---------------------------------------------------------------------------

    async def open(self) -> BridgeSettings:
        """Bring bridge, packet filter and netd up, or repair them.

        Raises: InvalidField; StepFailed; AddressPoolExhausted.
        """
        if self._packet_filter < 0:
            self._packet_filter = nftables.open_filter_socket()
        self._settings = await self._bring_up(self._name)
        self._pool = AddressPool(self._settings.address)
        try:
            await self._offload(self._keeper.open)
        except OSError as error:
            raise StepFailed(step="start netd", cause=_words(error)) from error
        return self._settings

    async def close(self) -> None:
        """Let go; what is connected stays connected."""
        for task in self._lingering:
            task.cancel()
        await asyncio.gather(*self._lingering, return_exceptions=True)
        self._keeper.close()
        if self._packet_filter >= 0:
            os.close(self._packet_filter)
            self._packet_filter = -1

    async def remove(self) -> None:
        """Remove the table, netd, and the bridge if we made it. Raises: StepFailed."""
        await asyncio.gather(*self._lingering, return_exceptions=True)
        await self._offload(self._keeper.end)
        await self._offload(host_bridge.take_down, self._settings)

    async def _bring_up(self, name: str) -> BridgeSettings:
        return await self._offload(
            host_bridge.bring_up, name=name, bip=self._bip, alias=self._alias
        )

    # -- attach ------------------------------------------------------------------------------

    async def attach(
        self, request: AttachRequest, network: Network, namespace_path: str
    ) -> tuple[EndpointStatus, Journal]:
        """Connect a container that has no namespace yet; nothing is left when it fails.

        Raises: PortInUse, AddressPoolExhausted, InvalidField, FeatureMissing, StepFailed.
        """
        mac_address = parse_mac_address(request.network.mac_address)
        wishes = published_ports.wishes_of(request.network, has_ipv6=host_bridge.has_ipv6())
        async with UndoStack() as undo:
            address = self._pool.lease()
            undo.push(self._give_back, request.container_id, address, has_ports=bool(wishes))
            ports = await to_its_end(self._reserve(request, address, wishes))
            endpoint = EndpointStatus(
                endpoint_id=EndpointId(new_id()),
                network_id=network.id,
                network_name=network.name,
                address=str(address),
                prefix_length=self._settings.address.network.prefixlen,
                gateway=str(self._settings.address.ip),
                mac_address=mac_address or mac_address_for(address),
                interface=bridge.INTERFACE,
                published=published_ports.published_of(wishes, ports),
            )
            await self._offload(
                write_private_files, request, address=endpoint.address, gateway=endpoint.gateway
            )
            undo.push(self._disconnect, request.container_id, endpoint, namespace_path)
            plan = self._plan(endpoint, namespace_path)
            journal = await to_its_end(self._connect(namespace_path, plan))
            undo.keep()
        self._endpoints[request.container_id] = endpoint
        self._container_names[request.container_id] = request.container_name
        return endpoint, journal

    async def _reserve(
        self, request: AttachRequest, address: IPv4Address, wishes: tuple[Wish, ...]
    ) -> list[int]:
        if not wishes:
            return []
        try:
            return await self._offload(
                self._keeper.reserve, request.container_id, str(address), wishes
            )
        except PortTaken as taken:
            raise await self._port_in_use(request.container_id, taken) from taken
        except OSError as error:
            raise StepFailed(step="reserve host ports", cause=_words(error)) from error

    async def _port_in_use(self, container_id: ContainerId, taken: PortTaken) -> PortInUse:
        if taken.holder and taken.holder != container_id:
            holder = ContainerId(taken.holder)
            owner = f"container {self._container_names.get(holder) or short_id(holder)}"
        elif not taken.port:
            owner = "other programs, every port of the range"
        else:
            owner = await self._offload(describe_port_owner, taken.protocol, taken.port)
        return PortInUse(
            protocol=taken.protocol, address=taken.address, port=taken.port, owner=owner
        )

    def _plan(self, endpoint: EndpointStatus, namespace_path: str) -> Plan:
        return bridge.endpoint_plan(
            self._settings,
            EndpointPlan(
                namespace_path=namespace_path,
                host_interface=connections.host_interface_name(endpoint.endpoint_id),
                address=IPv4Interface(f"{endpoint.address}/{endpoint.prefix_length}"),
                mac_address=endpoint.mac_address,
                ports=published_ports.filter_entries(endpoint.published),
            ),
        )

    async def _connect(self, path: str, plan: Plan) -> Journal:
        """Make the namespace and do the plan; once more when our table had been removed."""
        container_netlink, lines = await self._jobs.make_network_namespace(path)
        try:
            for has_repaired in (False, True):
                try:
                    done = await self._offload(
                        connections.connect,
                        plan,
                        namespace_path=path,
                        container_netlink=container_netlink,
                        packet_filter=self._packet_filter,
                    )
                except OperationFailed as failed:
                    if has_repaired or not connections.is_table_missing(failed):
                        raise connections.as_step_failed(failed) from failed
                    _log.warning("networks.table_missing")
                    await self._bring_up(self._settings.name)
                    await self._publish_missing()
                else:
                    return journals.from_json(lines) + done
        finally:
            os.close(container_netlink)
        raise AssertionError("unreachable")

    # -- detach ------------------------------------------------------------------------------

    async def detach(self, container_id: ContainerId, namespace_path: str) -> None:
        """Take away what `attach` or `restore` gave. Doing so twice is no error."""
        endpoint = self._endpoints.pop(container_id, None)
        self._container_names.pop(container_id, None)
        if endpoint is not None:
            await self._disconnect(container_id, endpoint, namespace_path)
            address = IPv4Address(endpoint.address)
            await self._give_back(container_id, address, has_ports=bool(endpoint.published))

    async def _disconnect(
        self, container_id: ContainerId, endpoint: EndpointStatus, namespace_path: str
    ) -> None:
        problems = await self._offload(
            connections.disconnect,
            namespace_path,
            connections.publish_again(self._settings, endpoint),
            packet_filter=self._packet_filter,
        )
        for problem in problems:
            _log.warning("networks.detach_incomplete container=%s %s", container_id, problem)
        interface = connections.host_interface_name(endpoint.endpoint_id)
        task = asyncio.create_task(self._delete_lingering(interface))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def _delete_lingering(self, interface: str) -> None:
        """A namespace that others joined keeps its veth pair: look again a moment later."""
        await asyncio.sleep(_LINGER_S)
        with contextlib.suppress(OSError):
            await self._offload(connections.delete_lingering, interface)

    async def _give_back(
        self, container_id: ContainerId, address: IPv4Address, *, has_ports: bool
    ) -> None:
        if has_ports:
            try:
                await self._offload(self._keeper.release, container_id)
            except OSError as error:
                _log.warning("networks.release_failed container=%s %s", container_id, error)
        self._pool.release(address)

    # -- boot --------------------------------------------------------------------------------

    async def restore(self, container_id: ContainerId, endpoint: EndpointStatus) -> None:
        """Take over the address and the ports of a container that lives. Raises: StepFailed."""
        self._pool.take(IPv4Address(endpoint.address))
        self._endpoints[container_id] = endpoint
        if not endpoint.published:
            return
        wishes = published_ports.wishes_again(endpoint.published)
        try:
            held = (await self._offload(self._keeper.owners)).get(container_id, ())
            if not published_ports.are_held(wishes, held):
                await self._offload(self._keeper.reserve, container_id, endpoint.address, wishes)
        except PortTaken as taken:  # netd had ended too, and somebody else was quicker
            _log.warning("networks.port_lost port=%d protocol=%s", taken.port, taken.protocol)
        except OSError as error:
            raise StepFailed(step="hold host ports again", cause=_words(error)) from error

    async def sweep(self, living: Set[ContainerId]) -> None:
        """Let go of what belongs to no living container; publish what living ones lost.

        Raises: StepFailed.
        """
        try:
            for owner in await self._offload(self._keeper.owners):
                if owner not in living:
                    await self._offload(self._keeper.release, owner)
        except OSError as error:
            raise StepFailed(step="release host ports", cause=_words(error)) from error
        await self._offload(
            connections.remove_stray_ports,
            self._settings,
            tuple(endpoint.address for endpoint in self._endpoints.values()),
            packet_filter=self._packet_filter,
        )
        await self._publish_missing()

    async def _publish_missing(self) -> None:
        await self._offload(
            connections.publish_missing_ports,
            self._settings,
            tuple(self._endpoints.values()),
            packet_filter=self._packet_filter,
        )


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
