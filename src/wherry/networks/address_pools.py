"""Which addresses a subnet has, and which of them are given out."""

import threading
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from wherry.model.errors import AddressPoolExhausted

DEFAULT_POOLS: tuple[tuple[IPv4Network, int], ...] = (
    *((IPv4Network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    (IPv4Network("192.168.0.0/16"), 20),
)
"""Docker's pools for bridges, each with the prefix length of the subnets cut from it
(docs.docker.com, "default-address-pools")."""


class AddressPool:
    """The addresses of one subnet, handed out in order.

    The next address is the one after the last that was given, so that an address that has just
    become free is not soon somebody else's: neighbours' ARP tables and open connections of the
    old one would find the new one. May be used from any thread.
    """

    def __init__(self, gateway: IPv4Interface) -> None:
        self._subnet = gateway.network
        self._lock = threading.Lock()
        self._leased = {int(gateway.ip)}
        self._first = int(self._subnet.network_address) + 1
        self._last = int(self._subnet.broadcast_address) - 1
        self._cursor = self._first

    def lease(self) -> IPv4Address:
        """A free address. Raises: AddressPoolExhausted."""
        with self._lock:
            if len(self._leased) <= self._last - self._first:
                for candidate in self._from_cursor():
                    if candidate not in self._leased:
                        self._leased.add(candidate)
                        self._cursor = candidate + 1
                        return IPv4Address(candidate)
        raise AddressPoolExhausted(str(self._subnet))

    def take(self, address: IPv4Address) -> None:
        """Lease a certain address, for somebody who has it already."""
        with self._lock:
            if address in self._subnet:
                self._leased.add(int(address))
                self._cursor = max(self._cursor, int(address) + 1)

    def release(self, address: IPv4Address) -> None:
        """Make an address free again. Doing so twice is no error."""
        with self._lock:
            self._leased.discard(int(address))

    def _from_cursor(self) -> Iterator[int]:
        yield from range(self._cursor, self._last + 1)
        yield from range(self._first, min(self._cursor, self._last + 1))


def choose_gateway(taken: Iterable[IPv4Network]) -> IPv4Interface:
    """The first address of the first default subnet that the host has no route into.

    Raises: AddressPoolExhausted.
    """
    occupied = tuple(taken)
    for pool, prefix_length in DEFAULT_POOLS:
        for subnet in pool.subnets(new_prefix=prefix_length):
            if not any(subnet.overlaps(each) for each in occupied):
                return IPv4Interface((int(subnet.network_address) + 1, prefix_length))
    raise AddressPoolExhausted("every default pool")


def mac_address_for(address: IPv4Address) -> str:
    """A locally administered MAC address that follows from the IP address.

    Whoever leases the address later has the same, so neighbours' ARP entries stay true.
    """
    return "02:42:" + address.packed.hex(":")
