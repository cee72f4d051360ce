"""One bridge network with its addresses: what an endpoint on it gets and gives back."""

from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from wherry.kit.random_ids import new_id
from wherry.model.errors import InvalidValue
from wherry.model.ids import EndpointId
from wherry.model.networks import EndpointStatus, EndpointWish, Network
from wherry.networks import connections
from wherry.networks.address_pools import Address, AddressPool, mac_address_for
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings, EndpointPlan
from wherry.networks.mac_addresses import parse_mac_address
from wherry.operations.plan import Plan


class BridgeNetwork:
    """A network of the bridge driver. Its record never changes."""

    def __init__(self, network: Network, settings: BridgeSettings) -> None:
        self.network = network
        self.settings = settings
        self._pools = tuple(AddressPool(each) for each in settings.ranges)

    def lease(self, wish: EndpointWish, *, interface: str) -> EndpointStatus:
        """Addresses for an endpoint, those that it wishes or the next free ones.

        Raises: AddressPoolExhausted, AddressTaken, InvalidValue.
        """
        mac_address = parse_mac_address(wish.mac_address)
        taken: list[tuple[AddressPool, Address]] = []
        try:
            for version, wanted in ((4, wish.ipv4_address), (6, wish.ipv6_address)):
                leased = self._lease(version, wanted)
                if leased is not None:
                    taken.append(leased)
        except BaseException:
            for pool, address in taken:
                pool.release(address)
            raise
        found = {address.version: (pool, address) for pool, address in taken}
        endpoint = EndpointStatus(
            endpoint_id=EndpointId(new_id()),
            network_id=self.network.id,
            network_name=self.network.name,
            mac_address=mac_address or (mac_address_for(taken[0][1]) if taken else ""),
            interface=interface,
        )
        if 4 in found:
            pool, address = found[4]
            endpoint = replace(
                endpoint,
                address=str(address),
                prefix_length=pool.subnet.prefixlen,
                gateway=self._gateway(pool),
            )
        if 6 in found:
            pool, address = found[6]
            endpoint = replace(
                endpoint,
                ipv6_address=str(address),
                ipv6_prefix_length=pool.subnet.prefixlen,
                ipv6_gateway=self._gateway(pool),
            )
        return endpoint

    def take(self, endpoint: EndpointStatus) -> None:
        """At boot: the addresses of an endpoint that lives are not free."""
        for pool, address in self._leases(endpoint):
            pool.take(address)

    def release(self, endpoint: EndpointStatus) -> None:
        """Make its addresses free again. Doing so twice is no error."""
        for pool, address in self._leases(endpoint):
            pool.release(address)

    def plans(self, endpoint: EndpointStatus, namespace_path: str, why: str) -> tuple[Plan, Plan]:
        """What joins a namespace to the bridge, and what gives the link its addresses."""
        plan = EndpointPlan(
            namespace_path=namespace_path,
            host_interface=connections.host_interface_name(endpoint.endpoint_id),
            interface=endpoint.interface,
            addresses=addresses_of(endpoint),
            mac_address=endpoint.mac_address,
            why=why,
        )
        return bridge.link_plan(self.settings, plan), bridge.address_plan(self.settings, plan)

    def way_out(self, namespace_path: str) -> Plan:
        """Default routes through this network."""
        return bridge.way_out_plan(self.settings, namespace_path)

    def _lease(self, version: int, wanted: str) -> tuple[AddressPool, Address] | None:
        pools = [each for each in self._pools if each.subnet.version == version]
        if wanted:
            address = _parsed(wanted, version)
            for pool in pools:
                if address in pool.subnet:
                    pool.claim(address)
                    return pool, address
            raise InvalidValue(
                f"invalid endpoint settings:\nno configured subnet contains IP address {wanted}"
            )
        if not pools:
            return None
        return pools[0], pools[0].lease()

    def _leases(self, endpoint: EndpointStatus) -> list[tuple[AddressPool, Address]]:
        addresses = [each.ip for each in addresses_of(endpoint)]
        return [
            (pool, address)
            for address in addresses
            for pool in self._pools
            if address in pool.subnet
        ]

    def _gateway(self, pool: AddressPool) -> str:
        return next((str(each) for each in self.settings.ways_out if each in pool.subnet), "")


def addresses_of(endpoint: EndpointStatus) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """The addresses of an endpoint with their prefix lengths."""
    pairs = (
        (endpoint.address, endpoint.prefix_length),
        (endpoint.ipv6_address, endpoint.ipv6_prefix_length),
    )
    return tuple(ip_interface(f"{address}/{length}") for address, length in pairs if address)


def _parsed(text: str, version: int) -> Address:
    try:
        address = ip_address(text)
    except ValueError as error:
        raise InvalidValue(
            f"invalid endpoint settings:\ninvalid IPv{version} address: {text}"
        ) from error
    if address.version != version:
        raise InvalidValue(f"invalid endpoint settings:\ninvalid IPv{version} address: {text}")
    return address
