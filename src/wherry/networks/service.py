"""The face of networking: networks made and removed; containers are for `attachments`."""

import asyncio
import contextlib
import os
from collections.abc import Sequence, Set
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.values import replace
from wherry.model.containers import NetworkSpec
from wherry.model.errors.networks import NetworkIsBuiltin
from wherry.model.errors.plugins import PluginNotFound
from wherry.model.ids import ContainerId
from wherry.model.networks import (
    EndpointStatus,
    EndpointWish,
    Network,
    NetworkRequest,
    OverlayKey,
    OverlayPlace,
    Peer,
    PortBinding,
    PublishedPort,
)
from wherry.networks import requests
from wherry.networks.addresses.pools import DEFAULT_POOLS, Subnet, unique_local_pool
from wherry.networks.attachments import Attachments
from wherry.networks.default_networks import default_networks
from wherry.networks.definitions import check_name, defined
from wherry.networks.made_networks import DEFAULT_IPAM, NO_IPAM, MadeNetworks, is_made
from wherry.networks.names.container_names import ContainerNames
from wherry.networks.network_table import NetworkTable
from wherry.networks.option_values import LOCAL, VNI
from wherry.networks.packets.filter_guard import FilterGuard
from wherry.networks.ports.host_ports import HostPorts
from wherry.networks.ports.keeper import NameKeeper, PortKeeper
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs, Sandbox
from wherry.networks.settings import NetworkSettings
from wherry.networks.uninterrupted import to_its_end
from wherry.operations.plan import Journal
from wherry.plugins import PluginHost

if TYPE_CHECKING:
    from wherry.networks.sight import Sight

NO_BRIDGE = "none"
_NAMESPACES = "netns"


class Keeper(PortKeeper, NameKeeper, Protocol):
    """What netd is to this room."""


class Networks:
    """Every network, and every container's.

    The engine calls `attach`, `detach`, `connect` and `disconnect` of one container one after
    the other; those of different containers may overlap, with each other and with `create` and
    `remove`.
    """

    def __init__(
        self,
        *,
        exec_root: str,
        settings: NetworkSettings,
        jobs: NamespaceJobs,
        keeper: Keeper,
        table: NetworkTable,
        offload: OffloadPool,
        clock: Clock,
        engine_id: str,
        plugins: PluginHost | None = None,
    ) -> None:
        self._namespaces = os.path.join(exec_root, _NAMESPACES)
        self._offload, self._clock = offload, clock
        self._table, self._engine_id = table, engine_id
        self._settings = settings
        self._pools: tuple[tuple[Subnet, int], ...] = (
            *(settings.pools or DEFAULT_POOLS),
            unique_local_pool(engine_id),
        )
        self._made = MadeNetworks(
            engine_id=engine_id,
            wanted=settings,
            plugins=plugins or PluginHost(),
            asked=table.plugin_endpoints,
            offload=offload,
        )
        self._changing = asyncio.Lock()
        self._attachments = Attachments(
            namespaces=self._namespaces,
            table=table,
            networks=self._made,
            ports=HostPorts(keeper, offload),
            names=ContainerNames(keeper, jobs, offload),
            jobs=jobs,
            offload=offload,
            changing=self._changing,
        )
        self._guard = FilterGuard(self._attachments.repair, self._made.is_past_barriers)
        self._jobs = jobs

    # -- lifecycle ---------------------------------------------------------------------------

    async def open(self) -> None:
        """Bring the bridges, the packet filter and netd up, or repair them.

        Raises: InvalidField; StepFailed; SubnetsExhausted; StateUnreadable.
        """
        os.makedirs(self._namespaces, exist_ok=True)
        os.chmod(self._namespaces, 0o700)  # whoever opens a namespace's file has the namespace
        default = None
        if self._settings.bridge != NO_BRIDGE:
            default = await self._made.find_default(self._pools)
        builtin = default_networks(
            default, engine_id=self._engine_id, created_at_ns=self._clock.now_ns()
        )
        await self._offload(self._table.load, builtin)
        await self._made.open(self._table.all())
        await self._attachments.open(
            host_gateway=str(default.gateways[0].ip) if default is not None else ""
        )

    async def close(self) -> None:
        """Let go; containers that live on keep their network."""
        await self._guard.stop()
        await self._attachments.close()
        await self._made.close()

    @property
    def has_living(self) -> bool:
        """Whether a container has a network namespace of this engine."""
        return bool(os.listdir(self._namespaces))

    async def remove_everything(self) -> None:
        """End netd and remove the bridges, the table and every namespace of this engine.

        Raises: StepFailed.
        """
        await self._guard.stop()
        await self._attachments.remove_everything()
        await self._made.remove_everything()
        with contextlib.suppress(OSError):
            os.rmdir(self._namespaces)

    @cached_property
    def sight(self) -> "Sight":
        """What the kernel says of a packet's way; loaded when somebody asks."""
        from wherry.networks.sight import Sight

        return Sight(networks=self._made, jobs=self._jobs, offload=self._offload)

    # -- networks ----------------------------------------------------------------------------

    def list(self) -> tuple[Network, ...]:
        """Every network; bridge (unless disabled), host and none first."""
        return self._table.all()

    def get(self, reference: str) -> Network:
        """A network by id, name or prefix of the id. Raises: NetworkNotFound, Ambiguous…"""
        return self._table.find(reference)

    async def create(self, request: NetworkRequest) -> Network:
        """Make a network. Raises: InvalidValue, NetworkNameTaken, SubnetTaken, HostLacks…"""
        requests.check_reach(request)
        return await self._create(request)

    async def create_overlay(self, request: NetworkRequest, place: OverlayPlace) -> Network:
        """Make this host's part of a network that spans hosts; `set_peers` connects it to others.

        For whoever knows the other hosts: a user alone can't have one. Raises: as `create`.
        """
        options = {**request.options, VNI: str(place.vni), LOCAL: place.local}
        wanted = replace(request, driver="overlay", scope="swarm", options=options)
        return await self._create(wanted)

    async def set_peers(self, network: Network, peers: Sequence[Peer]) -> None:
        """Say who is where on a network that spans hosts: these, and nobody else.

        Raises: ConnectionRefused for a network that does not; StepFailed.
        """
        await self._made.set_peers(network, peers)

    async def set_keys(self, keys: Sequence[OverlayKey]) -> None:
        """Say what the hosts of encrypted networks share: these keys, sent with the first.

        Until that is said, and after a start of the host, nothing passes between them.
        Raises: InvalidValue, StepFailed.
        """
        await self._made.set_keys(keys)

    async def _create(self, request: NetworkRequest) -> Network:
        check_name(request.name)
        async with self._changing, UndoStack() as undo:
            self._table.require_free_name(request.name)
            completed = requests.completed(
                request, self._table.all(), self._settings.driver_options
            )
            completed = await self._with_scope(completed)
            completed = await self._with_subnets(completed, undo)
            network = defined(
                completed,
                occupied=await self._made.occupied(self._table.all()),
                pools=self._pools,
                created_at_ns=self._clock.now_ns(),
            )
            if is_made(network):
                undo.push(self._made.remove, network)
                try:
                    await self._made.add(network)
                except PluginNotFound as error:
                    raise requests.plugin_not_found(network.driver) from error
            await self._offload(self._table.add, network)
            undo.keep()
        return network

    async def remove(self, network: Network) -> None:
        """Remove a network that nobody is on. Raises: NetworkIsBuiltin, StepFailed."""
        if network.is_builtin:
            raise NetworkIsBuiltin(network.name, "remove")
        requests.check_may_go(network, self._table.all())
        async with self._changing:
            await self._made.remove(network)
            await self._offload(self._table.remove, network.id)
            if network.ipam_driver != DEFAULT_IPAM:
                await self._offload(self._made.ipam(network.ipam_driver).release, network.ranges)

    async def _with_scope(self, request: NetworkRequest) -> NetworkRequest:
        """The request with the scope that networks of its driver have."""
        if requests.is_built_in(request.driver) or request.is_configuration:
            return request
        try:
            scope = await self._offload(self._made.scope_of, request.driver)
        except PluginNotFound as error:
            raise requests.plugin_not_found(request.driver) from error
        return replace(request, scope=scope)

    async def _with_subnets(self, request: NetworkRequest, undo: UndoStack) -> NetworkRequest:
        """The request with the subnets that its IPAM plugin gives it, if it names one."""
        if request.ipam_driver == DEFAULT_IPAM or request.is_configuration:
            return request
        if request.ipam_driver == NO_IPAM:
            return requests.without_addresses(request)

        async def requesting() -> NetworkRequest:
            plugin = self._made.ipam(request.ipam_driver)
            try:
                ranges = await self._offload(plugin.request, request)
            except PluginNotFound as error:
                raise requests.plugin_not_found(request.ipam_driver) from error
            undo.push(self._offload, plugin.release, ranges)
            return replace(request, ranges=ranges)

        return await to_its_end(requesting())

    # -- containers --------------------------------------------------------------------------

    async def attach(self, request: AttachRequest) -> Sandbox:
        """Give a container its networks; nothing is left when it fails.

        Raises: PortInUse, AddressesExhausted, AddressTaken, NetworkNotFound, InvalidValue,
        FeatureMissing, StepFailed.
        """
        return await self._attachments.attach(request)

    async def detach(self, container_id: ContainerId) -> None:
        """Take a container's networks away. Doing so twice is no error."""
        await self._attachments.detach(container_id)

    async def connect(
        self, request: AttachRequest, wish: EndpointWish
    ) -> tuple[EndpointStatus, ...]:
        """Connect a running container to one more network; all of its endpoints then.

        Raises: AlreadyConnected, ConnectionRefused, AddressTaken, NetworkNotFound, StepFailed.
        """
        return await self._attachments.connect(request, wish)

    def check_may_connect(
        self, spec: NetworkSpec, endpoints: Sequence[EndpointStatus], network: Network
    ) -> None:
        """Whether a container that does not run may be connected. Raises: ConnectionRefused."""
        self._attachments.check_may_connect(spec, endpoints, network)

    async def republish(
        self,
        request: AttachRequest,
        *,
        kept: Sequence[PublishedPort],
        added: Sequence[PortBinding],
        keeps_flows: bool,
    ) -> tuple[tuple[EndpointStatus, ...], Journal]:
        """Publish other ports of a running container; those that stay are never let go.

        Raises: ConnectionRefused, PortInUse, FeatureMissing, StepFailed.
        """
        return await self._attachments.republish(
            request, kept=kept, added=added, keeps_flows=keeps_flows
        )

    async def disconnect(
        self, request: AttachRequest, network: Network
    ) -> tuple[EndpointStatus, ...]:
        """Take a running container off one network; its endpoints then.

        Raises: NotConnected, ConnectionRefused, StepFailed.
        """
        return await self._attachments.disconnect(request, network)

    async def restore(
        self, request: AttachRequest, endpoints: tuple[EndpointStatus, ...]
    ) -> Sandbox:
        """At boot: take over the addresses and ports of a container that lives.

        Raises: StepFailed.
        """
        return await self._attachments.restore(request, endpoints)

    async def give_back(self, endpoints: Sequence[EndpointStatus]) -> None:
        """At boot: let go of what a container had that ended meanwhile; plugins are told."""
        await self._attachments.give_back(endpoints)

    async def sweep(self, living: Set[ContainerId]) -> None:
        """At boot, after every `restore`: remove what belongs to no living container.

        Raises: StepFailed.
        """
        await self._attachments.sweep(living)
        if self._settings.filters and not self._guard.is_watching:
            self._guard.start(self._made.table)
