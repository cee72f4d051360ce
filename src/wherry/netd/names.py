"""Who is called how on which network: what the resolver knows by itself."""

import random
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from wherry.kit.values import dataclass, field

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Holder:
    """One container on a network: its names, the one it is known by first, and addresses."""

    names: tuple[str, ...]
    addresses: tuple[Address, ...]


@dataclass(slots=True)
class _NamedNetwork:
    name: str
    holders: dict[str, Holder] = field(default_factory=dict)
    """By endpoint."""
    by_name: dict[str, list[str]] = field(default_factory=dict)
    """Endpoints, by a name in lower case."""
    by_address: dict[Address, str] = field(default_factory=dict)


class Names:
    """Every network's names."""

    def __init__(self) -> None:
        self._networks: dict[str, _NamedNetwork] = {}
        self.edition = 0
        """Another number after each change."""
        self._dice = random.Random()

    def add(self, network_id: str, network: str, endpoint: str, holder: Holder) -> None:
        """Somebody has joined a network, or is called otherwise now."""
        self.remove(network_id, endpoint)
        self.edition += 1
        known = self._networks.setdefault(network_id, _NamedNetwork(network))
        known.holders[endpoint] = holder
        for name in holder.names:
            known.by_name.setdefault(name.lower(), []).append(endpoint)
        for address in holder.addresses:
            known.by_address[address] = endpoint

    def remove(self, network_id: str, endpoint: str) -> None:
        """Somebody has left a network. Doing so twice is no error."""
        known = self._networks.get(network_id)
        holder = known.holders.pop(endpoint, None) if known is not None else None
        if known is None or holder is None:
            return
        self.edition += 1
        for name in holder.names:
            endpoints = known.by_name[name.lower()]
            endpoints.remove(endpoint)
            if not endpoints:
                del known.by_name[name.lower()]
        for address in holder.addresses:
            if known.by_address.get(address) == endpoint:
                del known.by_address[address]
        if not known.holders:
            del self._networks[network_id]

    def endpoints(self) -> Iterator[tuple[str, str]]:
        """Network and endpoint of everybody who has a name."""
        for network_id, known in self._networks.items():
            for endpoint in known.holders:
                yield network_id, endpoint

    def addresses(self, networks: Sequence[str], name: str) -> list[Address] | None:
        """The addresses of a name, as seen from some networks; None when nobody is called so.

        The first network that knows the name answers. Several holders come in an order that
        changes, so that clients which take the first spread over them.
        """
        for network_id in networks:
            known = self._networks.get(network_id)
            if known is None:
                continue
            bare = name.removesuffix(f".{known.name.lower()}")
            endpoints = known.by_name.get(name) or known.by_name.get(bare)
            if endpoints:
                order = list(endpoints)
                self._dice.shuffle(order)
                return [address for each in order for address in known.holders[each].addresses]
        return None

    def name_of(self, networks: Sequence[str], address: Address) -> str | None:
        """`web.front` for the address of a container on one of some networks."""
        for network_id in networks:
            known = self._networks.get(network_id)
            endpoint = known.by_address.get(address) if known is not None else None
            if known is not None and endpoint is not None:
                return f"{known.holders[endpoint].names[0]}.{known.name}"
        return None


def holder_of(names: Sequence[str], addresses: Sequence[str]) -> Holder:
    """A holder of texts. Raises: ValueError for what is no address."""
    return Holder(tuple(names), tuple(ip_address(each) for each in addresses))
