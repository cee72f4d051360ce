"""Which addresses a subnet has, and which of them are given out."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Protocol

from wherry.model.errors import InvalidValue
from wherry.model.errors.networks import AddressTaken, SubnetsExhausted
from wherry.model.networks import AddressRange
from wherry.networks.given_ranges import unusable

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

DEFAULT_POOLS: tuple[tuple[IPv4Network, int], ...] = (
    *((IPv4Network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    (IPv4Network("192.168.0.0/16"), 20),
)
"""Docker's pools for bridges, each with the prefix length of the subnets cut from it
(docs.docker.com, "default-address-pools")."""
_ULA_PREFIX = 48
_IPV6_SUBNET = 64


class Pool(Protocol):
    """Who gives out the addresses of one subnet. Calls may block."""

    @property
    def subnet(self) -> Subnet:
        """The whole subnet."""
        ...

    def lease(self) -> Address | None:
        """A free address, if there is one. Raises: PluginFailed."""
        ...

    def claim(self, address: Address) -> None:
        """Lease a certain address. Raises: AddressTaken, PluginFailed."""
        ...

    def take(self, address: Address) -> None:
        """Lease a certain address, for somebody who has it already."""
        ...

    def release(self, address: Address) -> None:
        """Make an address free again. Doing so twice is no error."""
        ...


class AddressPool:
    """The addresses of one subnet, handed out in order.

    The next address is the one after the last that was given, so that an address that has just
    become free is not soon somebody else's: neighbours' ARP tables and open connections of the
    old one would find the new one. May be used from any thread.
    """

    def __init__(self, addresses: AddressRange) -> None:
        self._subnet = ip_network(addresses.subnet)
        self._lock = threading.Lock()
        self._leased: set[int] = set()
        chosen_from = ip_network(addresses.allocated_from or addresses.subnet)
        kept = (addresses.gateway, *addresses.reserved.values())
        self._reserved = frozenset(
            map(int, unusable(self._subnet).union(ip_address(each) for each in kept if each))
        )
        self._first, self._last = int(chosen_from[0]), int(chosen_from[-1])
        self._cursor = self._first

    @property
    def subnet(self) -> Subnet:
        """The whole subnet."""
        return self._subnet

    def lease(self) -> Address | None:
        """A free address, if there is one."""
        with self._lock:
            for candidate in self._from_cursor():
                if candidate not in self._leased and candidate not in self._reserved:
                    self._leased.add(candidate)
                    self._cursor = candidate + 1
                    return self._address(candidate)
        return None

    def claim(self, address: Address) -> None:
        """Lease a certain address that nobody has. Raises: AddressTaken, InvalidValue."""
        if address not in self._subnet:
            raise InvalidValue(f"no configured subnet contains IP address {address}")
        with self._lock:
            if int(address) in self._leased or int(address) in self._reserved:
                raise AddressTaken(str(address))
            self._leased.add(int(address))

    def take(self, address: Address) -> None:
        """Lease a certain address, for somebody who has it already."""
        with self._lock:
            if address in self._subnet:
                self._leased.add(int(address))
                self._cursor = max(self._cursor, int(address) + 1)

    def release(self, address: Address) -> None:
        """Make an address free again. Doing so twice is no error."""
        with self._lock:
            self._leased.discard(int(address))

    def _from_cursor(self) -> Iterator[int]:
        yield from range(max(self._cursor, self._first), self._last + 1)
        yield from range(self._first, min(self._cursor, self._last + 1))

    def _address(self, number: int) -> Address:
        return IPv4Address(number) if self._subnet.version == 4 else IPv6Address(number)


def choose_subnet(
    taken: Iterable[Subnet],
    pools: Sequence[tuple[Subnet, int]] = DEFAULT_POOLS,
    *,
    ipv6: bool = False,
) -> Subnet:
    """The first subnet of the pools that overlaps with nothing.

    Raises: SubnetsExhausted.
    """
    occupied = [each for each in taken if (each.version == 6) is ipv6]
    for pool, prefix_length in pools:
        if (pool.version == 6) is not ipv6:
            continue
        for subnet in pool.subnets(new_prefix=prefix_length):
            if not any(subnet.overlaps(each) for each in occupied):
                return subnet
    raise SubnetsExhausted()


def unique_local_pool(engine_id: str) -> tuple[IPv6Network, int]:
    """The engine's own pool of unique local addresses (RFC 4193): it follows from its id."""
    digest = hashlib.sha256(f"{engine_id} ula".encode()).digest()
    prefix = bytes([0xFD]) + digest[:5] + bytes(10)
    return IPv6Network((prefix, _ULA_PREFIX)), _IPV6_SUBNET


def mac_address_for(address: Address) -> str:
    """A locally administered MAC address that follows from the IP address.

    Whoever leases the address later has the same, so neighbours' ARP entries stay true.
    """
    return "02:42:" + address.packed[-4:].hex(":")
