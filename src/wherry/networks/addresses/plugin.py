"""Addresses that a plugin gives out (`network create --ipam-driver`). Blocking."""

import contextlib
import logging
from collections.abc import Callable, Sequence
from ipaddress import ip_interface, ip_network
from typing import TypeVar

from msgspec import Struct

from wherry.kit.values import replace
from wherry.model.errors import FeatureMissing
from wherry.model.errors.plugins import PluginFailed
from wherry.model.networks import AddressRange, NetworkRequest
from wherry.networks import plugin_messages as said
from wherry.networks.addresses.pools import Address, Subnet
from wherry.plugins import Nothing, Plugin

_log = logging.getLogger(__name__)
_GATEWAY = "com.docker.network.gateway"
_TYPE = "RequestAddressType"

_Answer = TypeVar("_Answer", bound=said.IpamAnswer)


class IpamPlugin:
    """One plugin. The pools and addresses that it gave are its own to remember."""

    def __init__(self, find: Callable[[], Plugin]) -> None:
        """`find` raises PluginNotFound while the plugin is not there."""
        self._find = find

    def request(self, wanted: NetworkRequest) -> tuple[AddressRange, ...]:
        """Subnets for a network, those that were named or the plugin's choice.

        All of them or none. Raises: PluginNotFound, PluginFailed, FeatureMissing.
        """
        plugin = self._find()
        with contextlib.suppress(PluginFailed):  # it need not have capabilities
            needs = plugin.call("IpamDriver.GetCapabilities", Nothing(), said.IpamCapabilities)
            if needs.RequiresMACAddress:
                raise FeatureMissing(f"IPAM plugins that want MAC addresses ({plugin.name})")
        spaces = self._call("GetDefaultAddressSpaces", Nothing(), said.AddressSpaces)
        given: list[AddressRange] = []
        try:
            for each, is_ipv6 in _wanted_ranges(wanted):
                request = said.PoolRequest(
                    AddressSpace=spaces.LocalDefaultAddressSpace,
                    Pool=each.subnet,
                    SubPool=each.allocated_from,
                    Options=wanted.ipam_options or {},
                    V6=is_ipv6,
                )
                given.append(self._pool(request))
                given[-1] = self._with_own_addresses(given[-1], each)
        except BaseException:
            self.release(given)
            raise
        return tuple(given)

    def release(self, ranges: Sequence[AddressRange]) -> None:
        """Give subnets back, with the addresses that the network itself has of them."""
        for each in ranges:
            for address in filter(None, (each.gateway, *each.reserved.values())):
                self._try("ReleaseAddress", said.AddressNamed(each.pool_id, address))
            self._try("ReleasePool", said.PoolNamed(each.pool_id))

    def pool(self, of: AddressRange) -> "PluginPool":
        """The addresses of a subnet."""
        return PluginPool(self, of)

    def lease(self, pool_id: str, address: str = "", **options: str) -> Address:
        """An address; empty: any. Raises: PluginFailed."""
        request = said.AddressRequest(pool_id, address, options)
        given = self._call("RequestAddress", request, said.AddressGiven)
        try:
            return ip_interface(given.Address).ip
        except ValueError as error:
            raise self._failed("RequestAddress", f"invalid address: {given.Address}") from error

    def free(self, pool_id: str, address: str) -> None:
        """Give an address back; a plugin that fails is only complained of."""
        self._try("ReleaseAddress", said.AddressNamed(pool_id, address))

    def _pool(self, request: said.PoolRequest) -> AddressRange:
        given = self._call("RequestPool", request, said.PoolGiven)
        try:
            subnet = str(ip_network(given.Pool))
        except ValueError as error:
            raise self._failed("RequestPool", f"invalid subnet: {given.Pool}") from error
        return AddressRange(
            subnet=subnet,
            allocated_from=request.SubPool,
            pool_id=given.PoolID,
            is_chosen=not request.Pool,
        )

    def _with_own_addresses(self, given: AddressRange, wanted: AddressRange) -> AddressRange:
        """A subnet with its gateway, and the addresses that nobody is to get."""
        gateway = self.lease(given.pool_id, wanted.gateway, **{_TYPE: _GATEWAY})
        found = replace(given, gateway=str(gateway))
        try:
            for name, address in wanted.reserved.items():
                reserved = str(self.lease(given.pool_id, address))
                found = replace(found, reserved={**found.reserved, name: reserved})
        except BaseException:
            for address in (found.gateway, *found.reserved.values()):
                self.free(given.pool_id, address)
            raise
        return found

    def _call(self, method: str, request: Struct, answer: type[_Answer]) -> _Answer:
        found = self._find().call(f"IpamDriver.{method}", request, answer)
        if found.Error:
            raise self._failed(method, found.Error)
        return found

    def _try(self, method: str, request: Struct) -> None:
        try:
            self._call(method, request, said.IpamAnswer)
        except Exception as error:
            _log.warning("networks.ipam_plugin method=%s %s", method, error)

    def _failed(self, method: str, complaint: str) -> PluginFailed:
        return PluginFailed(self._find().name, f"IpamDriver.{method}", complaint)


class PluginPool:
    """The addresses of one subnet of a plugin's. Who has which of them, the plugin remembers."""

    def __init__(self, plugin: IpamPlugin, addresses: AddressRange) -> None:
        self._plugin, self._id = plugin, addresses.pool_id
        self.subnet: Subnet = ip_network(addresses.subnet)

    def lease(self) -> Address:
        """A free address. Raises: PluginFailed."""
        return self._plugin.lease(self._id)

    def claim(self, address: Address) -> None:
        """Lease a certain address. Raises: PluginFailed."""
        self._plugin.lease(self._id, str(address))

    def take(self, address: Address) -> None:
        """At boot: the plugin knows."""

    def release(self, address: Address) -> None:
        """Make an address free again."""
        self._plugin.free(self._id, str(address))


def _wanted_ranges(wanted: NetworkRequest) -> list[tuple[AddressRange, bool]]:
    """The subnets that were named, and one of each version that is wanted and was not named."""
    found = [(each, each.is_ipv6) for each in wanted.ranges]
    for is_wanted, is_ipv6 in ((wanted.has_ipv4, False), (wanted.has_ipv6, True)):
        if is_wanted and not any(each.is_ipv6 is is_ipv6 for each in wanted.ranges):
            found.append((AddressRange(subnet=""), is_ipv6))
    return found
