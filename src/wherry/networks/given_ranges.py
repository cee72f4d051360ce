"""Subnets as a user gave them, with gateways and reserved addresses: checked as Docker does.

All that is wrong is told at once (api/types/network/ipam.go), one fault on a line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from wherry.kit.values import replace
from wherry.model.errors import InvalidValue
from wherry.model.errors.networks import ConnectionRefused
from wherry.model.networks import AddressRange

_Subnet = IPv4Network | IPv6Network
_NO_BLOCK = "invalid CIDR block notation"


def checked_ranges(
    ranges: Iterable[AddressRange], versions: Mapping[int, bool | None]
) -> tuple[AddressRange, ...]:
    """The subnets of the versions of IP that a network has, normalised. Raises: InvalidValue.

    As with Docker, one of another version is passed over.
    """
    faults: list[str] = []
    found = []
    for each in ranges:
        subnet = _block(each.subnet)
        if subnet is None:
            faults.append(f"invalid subnet {each.subnet}: {_NO_BLOCK}")
        elif versions[subnet.version]:
            faults += _faults(each, subnet)
            found.append(replace(each, subnet=str(subnet)))
    if faults:
        raise InvalidValue(f"invalid network config:\n{told_together(faults)}")
    return tuple(found)


def refuse_unusable(given: AddressRange) -> None:
    """Addresses that nobody can have are no gateway's, and none is kept twice.

    Raises: ConnectionRefused, with Docker's sentence.
    """
    subnet = ip_network(given.subnet)
    taken = unusable(subnet)
    if given.gateway and ip_address(given.gateway) in taken:
        raise ConnectionRefused(
            f"failed to allocate gateway ({given.gateway}): Address already in use"
        )
    taken |= {ip_address(given.gateway)} if given.gateway else set()
    for name, text in given.reserved.items():
        if ip_address(text) in taken:
            raise ConnectionRefused(
                f"failed to allocate secondary ip address ({name}:{text}): Address already in use"
            )
        taken |= {ip_address(text)}


def unusable(subnet: _Subnet) -> set[IPv4Address | IPv6Address]:
    """The network's own address, and of IPv4 the broadcast address; a /31 has neither."""
    if subnet.version == 6:
        return {subnet.network_address}
    if subnet.num_addresses <= 2:
        return set()
    return {subnet.network_address, subnet.broadcast_address}


def told_together(faults: Sequence[str]) -> str:
    """Several faults as Docker lists them; one is its own sentence."""
    if len(faults) == 1:
        return faults[0]
    return "\n".join(f"* {each}" for each in faults)


def _faults(given: AddressRange, subnet: _Subnet) -> Iterator[str]:
    if ip_address(given.subnet.partition("/")[0]) != subnet.network_address:
        yield f"invalid subnet {given.subnet}: it should be {subnet}"
    for fault in _faults_of_part(given.allocated_from, subnet):
        yield f"invalid ip-range {given.allocated_from}: {fault}"
    for what, address in (
        (f"gateway {given.gateway}", given.gateway),
        *((f"auxiliary address {name}", text) for name, text in given.reserved.items()),
    ):
        fault = _fault_of_address(address, subnet)
        if fault:
            yield f"invalid {what}: {fault}"


def _faults_of_part(text: str, subnet: _Subnet) -> Iterator[str]:
    if not text:
        return
    part = _block(text)
    if part is None:
        yield _NO_BLOCK
    elif part.version != subnet.version:
        yield f"parent subnet is an IPv{subnet.version} block"
    else:
        if part.prefixlen < subnet.prefixlen:
            yield f"CIDR block is bigger than its parent subnet {subnet}"
        if ip_address(text.partition("/")[0]) != part.network_address:
            yield f"it should be {part}"
        if not part.overlaps(subnet):
            yield f"parent subnet {subnet} doesn't contain ip-range"


def _fault_of_address(text: str, subnet: _Subnet) -> str:
    if not text:
        return ""
    try:
        address = ip_address(text)
    except ValueError:
        return "invalid address"
    if address.version != subnet.version:
        return f"parent subnet is an IPv{subnet.version} block"
    return "" if address in subnet else f"parent subnet {subnet} doesn't contain this address"


def _block(text: str) -> _Subnet | None:
    """A block in CIDR notation, with an address of it; None: it is none."""
    length = text.partition("/")[2]
    if not (length.isascii() and length.isdigit()):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
