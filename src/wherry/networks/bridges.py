"""Every bridge network of the engine, and the packet filter that keeps them apart."""

import os
from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from wherry.kit.aio import OffloadPool
from wherry.linux import nftables
from wherry.model.errors import ConnectionRefused
from wherry.model.ids import NetworkId
from wherry.model.networks import Network
from wherry.networks import default_bridge, host_bridge
from wherry.networks.address_pools import Subnet
from wherry.networks.bridge_network import BridgeNetwork
from wherry.networks.bridge_options import settings_of
from wherry.networks.definitions import Occupied
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.settings import NetworkSettings
from wherry.networks.uninterrupted import to_its_end


class Bridges:
    """The bridges that are there; open it first."""

    def __init__(self, *, engine_id: str, wanted: NetworkSettings, offload: OffloadPool) -> None:
        self._offload, self._wanted = offload, wanted
        self._alias = f"wherry {engine_id}"
        self._bridges: dict[NetworkId, BridgeNetwork] = {}
        self._default: BridgeSettings | None = None
        self.table = f"wherry-{engine_id[:8]}"
        """This engine's table of the packet filter: named after its default bridge, if any."""
        self.packet_filter = -1
        """A netfilter socket that stays open (`wherry.linux.nftables` says why)."""

    def __iter__(self) -> Iterator[BridgeNetwork]:
        return iter(tuple(self._bridges.values()))

    def of(self, network: Network) -> BridgeNetwork:
        """The bridge of a network. Raises: ConnectionRefused for one without."""
        made = self._bridges.get(network.id)
        if made is None:
            raise ConnectionRefused(
                f"network {network.name} is a {network.driver} network that no other goes with"
            )
        return made

    def find(self, network_id: NetworkId) -> BridgeNetwork | None:
        """The bridge of a network, if it has one and is still there."""
        return self._bridges.get(network_id)

    # -- lifecycle ---------------------------------------------------------------------------

    async def find_default(self, pools: Sequence[tuple[Subnet, int]]) -> BridgeSettings:
        """Decide where the default network is. Raises: InvalidField; AddressPoolExhausted."""
        self._default = await self._offload(
            default_bridge.find, self._wanted, alias=self._alias, pools=pools
        )
        self.table = self._default.table
        return self._default

    async def open(self, networks: Sequence[Network]) -> None:
        """Bring up or repair the bridges of these networks. Raises: InvalidField, StepFailed.

        Where the operator named its subnet, the default bridge loses addresses of before.
        """
        if self.packet_filter < 0:
            self.packet_filter = nftables.open_filter_socket()
        self._bridges = {
            network.id: BridgeNetwork(network, self._settings(network))
            for network in networks
            if network.driver == "bridge" and not network.is_configuration
        }
        await self.bring_up(replaces_addresses=bool(self._wanted.bip or self._wanted.fixed_cidr))

    def close(self) -> None:
        """Let go; the bridges stay."""
        if self.packet_filter >= 0:
            os.close(self.packet_filter)
            self.packet_filter = -1

    async def bring_up(self, *, replaces_addresses: bool = False) -> None:
        """Make what is missing; the packet filter first: what it does not know would be open.

        Raises: InvalidField, StepFailed.
        """
        settings = [each.settings for each in self]
        await self._offload(
            host_bridge.install_table,
            self.table,
            settings,
            allows_direct_routing=self._wanted.allows_direct_routing,
        )
        for each in settings:
            await self._offload(
                host_bridge.bring_up,
                each,
                replaces_addresses=replaces_addresses and each is self._default,
            )

    async def remove_everything(self) -> None:
        """Take every bridge away that is ours, and the table. Raises: StepFailed."""
        for each in self:
            await self._offload(host_bridge.take_down, each.settings)
        await self._offload(host_bridge.remove_table, self.table)

    # -- one network -------------------------------------------------------------------------

    async def add(self, network: Network) -> None:
        """Make a network's bridge; nothing is left when it fails.

        Raises: InvalidValue, ConnectionRefused, StepFailed.
        """
        made = BridgeNetwork(network, self._settings(network))
        self._require_free_name(made.settings.name)
        await to_its_end(self._make(made))

    async def remove(self, network: Network) -> None:
        """Take a network's bridge away. Doing so twice is no error. Raises: StepFailed."""
        made = self._bridges.pop(network.id, None)
        if made is not None:
            await self._offload(host_bridge.take_down, made.settings)

    async def occupied(self, networks: Sequence[Network]) -> list[Occupied]:
        """Subnets that a new network can't have: of these networks, and of the host's routes."""
        names = [each.settings.name for each in self]
        found = [
            Occupied(subnet=ip_network(each.subnet), holder=f"{network.name} ({each.subnet})")
            for network in networks
            if not network.is_configuration
            for each in network.ranges
        ]
        return found + await self._offload(host_bridge.occupied, names)

    async def _make(self, made: BridgeNetwork) -> None:
        await self._offload(host_bridge.make, made.settings)
        self._bridges[made.network.id] = made

    def _settings(self, network: Network) -> BridgeSettings:
        if network.is_builtin and self._default is not None:
            return self._default
        return settings_of(
            network,
            table=self.table,
            alias=self._alias,
            forwards=self._wanted.forwards,
            allows_direct_routing=self._wanted.allows_direct_routing,
        )

    def _require_free_name(self, name: str) -> None:
        for each in self:
            if each.settings.name == name:
                raise ConnectionRefused(
                    f"networks have same bridge name: conflict with network {each.network.id} "
                    f"({name})"
                )
