"""Every network that is there on this host, and the packet filter that keeps them apart."""

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.linux import nftables
from wherry.model.errors import StepFailed
from wherry.model.errors.networks import ConnectionRefused
from wherry.model.errors.plugins import PluginFailed, PluginNotFound
from wherry.model.ids import NetworkId
from wherry.model.networks import EndpointStatus, Network, OverlayKey, Peer
from wherry.networks import connections, default_bridge
from wherry.networks.addresses.pools import Subnet
from wherry.networks.bridge_options import settings_of
from wherry.networks.definitions import Occupied
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.made_network import MadeNetwork
from wherry.networks.packets import foreign_filters
from wherry.networks.packets.foreign_filters import Barriers
from wherry.networks.plugin_endpoints import PluginEndpoints
from wherry.networks.segments import host_bridge
from wherry.networks.segments.bridge import BridgeSegment
from wherry.networks.segments.departures import Departures
from wherry.networks.segments.segment import Segment
from wherry.networks.settings import NetworkSettings
from wherry.networks.uninterrupted import to_its_end
from wherry.operations.plan import Journal
from wherry.plugins import IPAM_DRIVER, NETWORK_DRIVER, PluginHost

if TYPE_CHECKING:
    from wherry.networks.addresses.plugin import IpamPlugin

_log = logging.getLogger(__name__)

DEFAULT_IPAM = "default"
"""The engine gives the addresses out itself."""
NO_IPAM = "null"
"""Nobody does; or the plugin whose network it is."""


class MadeNetworks:
    """The networks that are there; open it first."""

    def __init__(
        self,
        *,
        engine_id: str,
        wanted: NetworkSettings,
        plugins: PluginHost,
        asked: PluginEndpoints,
        offload: OffloadPool,
    ) -> None:
        """`asked` is where it is noted what plugins were told of."""
        self._offload, self._wanted = offload, wanted
        self._plugins, self.asked = plugins, asked
        self._alias = f"wherry {engine_id}"
        self._made: dict[NetworkId, MadeNetwork] = {}
        self._default: BridgeSettings | None = None
        self._keys: Sequence[OverlayKey] = ()
        self._barriers = Barriers()
        self._departures = Departures(offload)
        self.table = f"wherry-{engine_id[:8]}"
        """This engine's table of the packet filter: named after its default bridge, if any."""
        self.packet_filter = -1
        """A netfilter socket that stays open (`wherry.linux.nftables` says why)."""

    def __iter__(self) -> Iterator[MadeNetwork]:
        return iter(tuple(self._made.values()))

    def of(self, network: Network) -> MadeNetwork:
        """A network that is there. Raises: ConnectionRefused for one that can't be."""
        made = self._made.get(network.id)
        if made is None and network.is_configuration:
            raise ConnectionRefused("cannot create endpoint on configuration-only network")
        if made is None:
            raise ConnectionRefused(
                f"network {network.name} is a {network.driver} network that no other goes with"
            )
        return made

    def find(self, network_id: NetworkId) -> MadeNetwork | None:
        """A network, if it can be and is still there."""
        return self._made.get(network_id)

    def under(self, endpoint: EndpointStatus) -> MadeNetwork:
        """The network that an endpoint was leased from: one with endpoints is not removed."""
        return self._made[endpoint.network_id]

    # -- lifecycle ---------------------------------------------------------------------------

    async def find_default(self, pools: Sequence[tuple[Subnet, int]]) -> BridgeSettings:
        """Decide where the default network is. Raises: InvalidField; SubnetsExhausted."""
        self._default = await self._offload(
            default_bridge.find, self._wanted, alias=self._alias, pools=pools
        )
        self.table = self._default.table
        return self._default

    async def open(self, networks: Sequence[Network]) -> None:
        """Bring up or repair these networks. Raises: InvalidField, StepFailed.

        Where the operator named its subnet, the default bridge loses addresses of before.
        """
        if self.packet_filter < 0:
            self.packet_filter = nftables.open_filter_socket()
        self._made = {
            network.id: self._of_record(network) for network in networks if is_made(network)
        }
        await self.bring_up()

    async def close(self) -> None:
        """Let go; the bridges stay."""
        await self._departures.settled()
        if self.packet_filter >= 0:
            os.close(self.packet_filter)
            self.packet_filter = -1

    async def bring_up(self) -> None:
        """Make what is missing; the packet filter first: what it does not know would be open.

        A bridge that can't be is an error. Links of the host may be gone for good: networks on
        them wait for their return. Raises: InvalidField, StepFailed.
        """
        if self._wanted.filters:
            await self._bring_up_filter()
        else:
            await self._offload(host_bridge.remove_table, self.table)
        for each in self:
            try:
                await self._offload(each.segment.repair)
            except StepFailed as failed:
                if each.network.driver == "bridge":
                    raise
                _log.warning(
                    "networks.not_there network=%s %s: %s",
                    each.network.name, failed.step, failed.cause,
                )  # fmt: skip

    async def _bring_up_filter(self) -> None:
        barriers = await self._look_at_others()
        await self._offload(
            host_bridge.install_table,
            self.table,
            self._bridges(),
            allows_direct_routing=self._wanted.allows_direct_routing,
            accepted_mark=self._wanted.accepted_mark,
            barriers=barriers,
        )
        await self._offload(foreign_filters.open_doors, barriers)
        self._barriers = barriers

    async def is_past_barriers(self) -> bool:
        """Whether other engines' filters are as we took care of them."""
        barriers = await self._look_at_others()
        return barriers == self._barriers and await self._offload(
            foreign_filters.are_open, barriers
        )

    def doors(self) -> Journal:
        """What lets packets past other engines' filters, for the story of a start."""
        return connections.as_told(self._barriers.doors)

    async def _look_at_others(self) -> Barriers:
        names = [each.name for each in self._bridges()]
        return await self._offload(foreign_filters.look, self.table, names)

    async def remove_everything(self) -> None:
        """Take everything away that is ours, and the table. Raises: StepFailed."""
        for each in self:
            try:
                await self._offload(each.segment.take_down, ())
            except (PluginFailed, PluginNotFound) as error:
                _log.warning("networks.plugin network=%s %s", each.network.name, error)
        await self._offload(foreign_filters.close_doors, self.table)
        await self._offload(host_bridge.remove_table, self.table)

    # -- one network -------------------------------------------------------------------------

    async def add(self, network: Network) -> None:
        """Bring a network into being; nothing is left when it fails.

        Raises: InvalidValue, ConnectionRefused, HostLacks, StepFailed.
        """
        made = self._of_record(network)
        await self._offload(made.segment.check, self._segments())
        await to_its_end(self._make(made))

    async def remove(self, network: Network) -> None:
        """Take a network away. Doing so twice is no error. Raises: StepFailed."""
        made = self._made.get(network.id)
        if made is not None:
            others = tuple(each for each in self._segments() if each is not made.segment)
            await self._departures.leave(
                made.segment.link, partial(made.segment.take_down, others)
            )
            await self._dismiss(made.segment)
            self._made.pop(network.id, None)
            if network.driver == "overlay":
                await self._offload(self._seal)

    async def set_peers(self, network: Network, peers: Sequence[Peer]) -> None:
        """Say who is where on a network that spans hosts.

        Raises: ConnectionRefused for one that does not; StepFailed.
        """
        from wherry.networks.segments.overlay import OverlaySegment

        segment = self.of(network).segment
        if not isinstance(segment, OverlaySegment):
            raise ConnectionRefused(f"network {network.name} does not span hosts")
        await self._offload(segment.set_peers, peers)
        if segment.is_sealed:
            await self._offload(self._seal)

    async def set_keys(self, keys: Sequence[OverlayKey]) -> None:
        """Say what hosts of encrypted networks share; the first is what leaves sealed by.

        Raises: InvalidValue, StepFailed.
        """
        from wherry.networks.segments import sealing

        sealing.check_keys(keys)
        self._keys = tuple(keys)
        await self._offload(self._seal)

    async def occupied(self, networks: Sequence[Network]) -> list[Occupied]:
        """Subnets that a new network can't have: of these networks, and of the host's routes."""
        names = [each.name for each in self._bridges()]
        found = [
            Occupied(subnet=ip_network(each.subnet), holder=f"{network.name} ({each.subnet})")
            for network in networks
            if not network.is_configuration
            for each in network.ranges
        ]
        return found + await self._offload(host_bridge.occupied, names)

    async def _make(self, made: MadeNetwork) -> None:
        async with UndoStack() as undo:
            undo.push(self._dismiss, made.segment)
            # Admitted first: a bridge that the packet filter does not know would be open.
            if made.segment.bridge is not None:
                await self._offload(
                    host_bridge.admit, made.segment.bridge, packet_filter=self.packet_filter
                )
            await self._offload(made.segment.make)
            undo.keep()
        self._made[made.network.id] = made

    async def _dismiss(self, segment: Segment) -> None:
        if segment.bridge is not None:
            await self._offload(
                host_bridge.dismiss, segment.bridge, packet_filter=self.packet_filter
            )

    def _seal(self) -> None:
        """Have what encrypted networks need, as far as keys and peers are known. Blocks."""
        from wherry.networks.segments import sealing
        from wherry.networks.segments.overlay import sealed

        networks = tuple(sealed(self._segments()))
        if networks and self._keys:
            versions = {each.overlay.version for each in networks}
            ways = [way for each in networks for way in each.ways()]
            sealing.seal(ways, self._keys, versions=versions)
        elif not networks:
            sealing.unseal()

    def _bridges(self) -> list[BridgeSettings]:
        """What the packet filter is to know."""
        found = (each.segment.bridge for each in self)
        return [each for each in found if each is not None]

    def _segments(self) -> tuple[Segment, ...]:
        return tuple(each.segment for each in self)

    def _of_record(self, network: Network) -> MadeNetwork:
        segment = self._segment(network)
        if network.ipam_driver == DEFAULT_IPAM:
            asked = self.asked if segment.is_lent else None
            return MadeNetwork(network, segment, asked=asked)
        pool = self.ipam(network.ipam_driver).pool
        return MadeNetwork(network, segment, pool, asked=self.asked)

    def scope_of(self, driver: str) -> str:
        """How far a plugin's networks reach. Blocks. Raises: PluginFailed, PluginNotFound."""
        from wherry.networks.segments.remote import scope_of

        return scope_of(self._plugins.get(driver, NETWORK_DRIVER))

    def ipam(self, name: str) -> "IpamPlugin":
        """The plugin that gives out addresses."""
        from wherry.networks.addresses.plugin import IpamPlugin

        return IpamPlugin(lambda: self._plugins.get(name, IPAM_DRIVER))

    def _segment(self, network: Network) -> Segment:
        """What joins a network's containers. Raises: InvalidValue."""
        match network.driver:
            case "bridge":
                return self._bridge_segment(network)
            # Seldom wanted: an engine that has no such network has no such driver in memory.
            case "macvlan" | "ipvlan":
                from wherry.networks.drivers import child
                from wherry.networks.segments.child import ChildSegment

                return ChildSegment(network.name, child.settings_of(network, alias=self._alias))
            case "overlay":
                from wherry.networks.drivers import overlay
                from wherry.networks.segments.overlay import OverlaySegment

                settings = overlay.settings_of(network, table=self.table, alias=self._alias)
                return OverlaySegment(network.id, settings)
            case name:
                from wherry.networks.segments.remote import RemoteSegment

                return RemoteSegment(network, lambda: self._plugins.get(name, NETWORK_DRIVER))

    def _bridge_segment(self, network: Network) -> BridgeSegment:
        if network.is_builtin and self._default is not None:
            has_named_subnet = bool(self._wanted.bip or self._wanted.fixed_cidr)
            return BridgeSegment(network.id, self._default, replaces_addresses=has_named_subnet)
        settings = settings_of(
            network,
            table=self.table,
            alias=self._alias,
            forwards=self._wanted.forwards,
            is_filtered=self._wanted.filters,
            allows_direct_routing=self._wanted.allows_direct_routing,
        )
        return BridgeSegment(network.id, settings)


def is_made(network: Network) -> bool:
    """Whether a network is something on this host: `host`, `none` and templates are not."""
    return network.driver not in ("host", "null") and not network.is_configuration
