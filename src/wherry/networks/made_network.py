"""One network that is there, with its addresses: what an endpoint on it gets and gives back."""

from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from wherry.kit.random_ids import new_id
from wherry.kit.values import replace
from wherry.model.errors import InvalidValue
from wherry.model.errors.networks import AddressesExhausted
from wherry.model.ids import EndpointId
from wherry.model.networks import AddressRange, EndpointStatus, EndpointWish, Network
from wherry.networks import connections
from wherry.networks.addresses.mac_addresses import parse_mac_address
from wherry.networks.addresses.pools import Address, AddressPool, Pool, mac_address_for
from wherry.networks.drivers import inside
from wherry.networks.drivers.inside import EndpointPlan
from wherry.networks.plugin_endpoints import PluginEndpoints
from wherry.networks.segments.segment import Segment
from wherry.operations.plan import Plan

_LINK_LOCAL = {4: 16, 6: 64}
"""Prefix lengths, as libnetwork has them."""


class MadeNetwork:
    """A network, whose record never changes, and the segment that its containers are joined to."""

    def __init__(
        self,
        network: Network,
        segment: Segment,
        make_pool: Callable[[AddressRange], Pool] = AddressPool,
        *,
        asked: PluginEndpoints | None = None,
    ) -> None:
        """`make_pool` makes what gives out the addresses of a subnet.

        With `asked` somebody else has a say, and what was asked of him is noted there.
        """
        self.network = network
        self.segment = segment
        self._asked = asked
        self._pools = tuple(make_pool(each) for each in network.ranges)

    def lease(
        self, wish: EndpointWish, namespace_path: str, name: Callable[[str], str]
    ) -> EndpointStatus:
        """Addresses for an endpoint, those that it wishes or the next free ones. Blocks.

        `name` gives the next name of an interface that begins in some way; it raises
        InvalidValue for one that can't be. Raises: AddressesExhausted, AddressTaken,
        InvalidValue, PluginFailed.
        """
        endpoint = self._leased(wish, name(self.segment.interface_prefix))
        return self._admitted(endpoint, namespace_path, name)

    def renew(self, endpoint: EndpointStatus, namespace_path: str) -> EndpointStatus:
        """An endpoint on record, whose link is lost: a plugin, if it is one's, makes it anew.

        Blocks. Raises: as `lease`.
        """
        if not self.segment.is_lent:
            return endpoint
        self.release(endpoint)
        for pool, address in self._leases(endpoint):
            pool.claim(address)
        return self._admitted(endpoint, namespace_path, lambda _prefix: endpoint.interface)

    def _admitted(
        self, endpoint: EndpointStatus, namespace_path: str, name: Callable[[str], str]
    ) -> EndpointStatus:
        try:
            self._note(endpoint, namespace_path)
            admitted = self.segment.admit(endpoint, namespace_path, name)
        except BaseException:
            self._free(endpoint)
            raise
        try:
            self._note(admitted, namespace_path)
        except BaseException:
            self.release(admitted)
            raise
        return admitted

    def _note(self, endpoint: EndpointStatus, namespace_path: str) -> None:
        if self._asked is not None:
            self._asked.note(endpoint, namespace_path)

    def _leased(self, wish: EndpointWish, interface: str) -> EndpointStatus:
        mac_address = parse_mac_address(wish.mac_address)
        if mac_address and not self.segment.has_mac_addresses:
            raise InvalidValue(
                f"{self.network.driver} interfaces do not support custom mac address assignment"
            )
        taken = self._lease_each(wish)
        endpoint = EndpointStatus(
            endpoint_id=EndpointId(new_id()),
            network_id=self.network.id,
            network_name=self.network.name,
            mac_address=mac_address or self._mac_address(taken),
            interface=interface,
            link_local=wish.link_local,
            is_routed_by_link=self.segment.routes_by_link,
        )
        for pool, address in taken:
            endpoint = self._with_address(endpoint, pool, address)
        return endpoint

    def _lease_each(self, wish: EndpointWish) -> list[tuple[Pool, Address]]:
        """An address of each version that the network has, or none at all."""
        taken: list[tuple[Pool, Address]] = []
        try:
            for version, wanted in ((4, wish.ipv4_address), (6, wish.ipv6_address)):
                leased = self._lease(version, wanted)
                if leased is not None:
                    taken.append(leased)
        except BaseException:
            for pool, address in taken:
                pool.release(address)
            raise
        return taken

    def _with_address(
        self, endpoint: EndpointStatus, pool: Pool, address: Address
    ) -> EndpointStatus:
        text, length, gateway = str(address), pool.subnet.prefixlen, self._gateway(pool)
        if address.version == 4:
            return replace(endpoint, address=text, prefix_length=length, gateway=gateway)
        return replace(
            endpoint, ipv6_address=text, ipv6_prefix_length=length, ipv6_gateway=gateway
        )

    def take(self, endpoint: EndpointStatus) -> None:
        """At boot: the addresses of an endpoint that lives are not free."""
        for pool, address in self._leases(endpoint):
            pool.take(address)

    def release(self, endpoint: EndpointStatus) -> None:
        """Make its addresses free again. Blocks; doing so twice is no error."""
        self.segment.dismiss(endpoint)
        self._free(endpoint)

    def _free(self, endpoint: EndpointStatus) -> None:
        for pool, address in self._leases(endpoint):
            pool.release(address)
        if self._asked is not None:
            self._asked.forget(endpoint.endpoint_id)

    def plans(self, endpoint: EndpointStatus, namespace_path: str, why: str) -> tuple[Plan, Plan]:
        """What joins a namespace to the segment, and what gives the link its addresses."""
        plan = EndpointPlan(
            namespace_path=namespace_path,
            host_interface=connections.host_interface_name(endpoint.endpoint_id),
            interface=endpoint.interface,
            addresses=addresses_of(endpoint),
            link_local=link_local_of(endpoint),
            mac_address=endpoint.mac_address,
            link=endpoint.link,
            why=why,
        )
        if not endpoint.interface:
            return (), ()  # a plugin that needs no link
        routes = self.segment.route_plan(endpoint, namespace_path)
        return self.segment.link_plan(plan), (*inside.address_plan(plan), *routes)

    def way_out(self, endpoint: EndpointStatus, namespace_path: str) -> Plan:
        """Default routes through this network, and what leads to the endpoint's ports."""
        routes = inside.way_out_plan(endpoint, namespace_path)
        return (*routes, *self.publication(endpoint))

    def publication(self, endpoint: EndpointStatus) -> connections.Publication:
        """What leads to the endpoint's published ports."""
        publishing = self.segment.publishing
        return connections.publication(publishing, endpoint) if publishing is not None else ()

    def _lease(self, version: int, wanted: str) -> tuple[Pool, Address] | None:
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
        for pool in pools:
            free = pool.lease()
            if free is not None:
                return pool, free
        raise AddressesExhausted(self.network.name, self.network.id, version)

    def _leases(self, endpoint: EndpointStatus) -> list[tuple[Pool, Address]]:
        addresses = [each.ip for each in addresses_of(endpoint)]
        return [
            (pool, address)
            for address in addresses
            for pool in self._pools
            if address in pool.subnet
        ]

    def _gateway(self, pool: Pool) -> str:
        return next((str(each) for each in self.segment.ways_out if each in pool.subnet), "")

    def _mac_address(self, taken: list[tuple[Pool, Address]]) -> str:
        has_one = self.segment.has_mac_addresses and taken
        return mac_address_for(taken[0][1]) if has_one else ""


def addresses_of(endpoint: EndpointStatus) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """The addresses of an endpoint with their prefix lengths."""
    pairs = (
        (endpoint.address, endpoint.prefix_length),
        (endpoint.ipv6_address, endpoint.ipv6_prefix_length),
    )
    return tuple(ip_interface(f"{address}/{length}") for address, length in pairs if address)


def link_local_of(endpoint: EndpointStatus) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """Those that it has besides, with the prefix lengths of their kinds."""
    addresses = [ip_address(each) for each in endpoint.link_local]
    return tuple(ip_interface((each, _LINK_LOCAL[each.version])) for each in addresses)


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
