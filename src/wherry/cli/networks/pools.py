"""`network create`: which range, gateway and kept address belongs to which subnet."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from wherry.client.documents import Document


class NoSuchPool(Exception):
    """The flags don't fit each other; the text is Docker's."""


def pools_of(
    *,
    subnets: Sequence[str],
    ranges: Sequence[str],
    gateways: Sequence[str],
    auxiliary: Mapping[str, str],
) -> list[Document]:
    """The subnets as the API wants them, each with what belongs to it. Raises: NoSuchPool."""
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise NoSuchPool("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, Document] = {}
    for text in subnets:
        if any(_overlap(text, other) for other in pools):
            raise NoSuchPool("multiple overlapping subnet configuration is not supported")
        pools[text] = {"Subnet": text}
    for each in ranges:
        _put(pools, _holder(pools, each.partition("/")[0], f"range {each}"), "IPRange", each,
             "cannot configure multiple ranges ({}, {}) on the same subnet ({})")  # fmt: skip
    for each in gateways:
        _put(pools, _holder(pools, each, f"gateway {each}"), "Gateway", each,
             "cannot configure multiple gateways ({}, {}) for the same subnet ({})")  # fmt: skip
    for name, address in auxiliary.items():
        holder = _holder(pools, address, f"aux-address {address}")
        kept = pools[holder].setdefault("AuxiliaryAddresses", {})
        assert isinstance(kept, dict)
        kept[name] = address
    return list(pools.values())


def _put(pools: dict[str, Document], subnet: str, field: str, value: str, refusal: str) -> None:
    before = pools[subnet].get(field)
    if before is not None:
        raise NoSuchPool(refusal.format(value, before, subnet))
    pools[subnet][field] = value


def _holder(pools: Mapping[str, Document], text: str, what: str) -> str:
    """The subnet that an address is in. Raises: NoSuchPool."""
    try:
        address = ip_address(text)
    except ValueError:
        raise NoSuchPool(f"no matching subnet for {what}") from None
    found = (each for each in pools if address in _subnet(each))
    holder = next(found, None)
    if holder is None:
        raise NoSuchPool(f"no matching subnet for {what}")
    return holder


def _subnet(text: str) -> IPv4Network | IPv6Network:
    try:
        if "/" not in text:
            raise ValueError
        return ip_network(text, strict=False)
    except ValueError:
        raise NoSuchPool(f"invalid subnet: invalid CIDR address: {text}") from None


def _overlap(one: str, other: str) -> bool:
    first, second = _subnet(one), _subnet(other)
    return first.version == second.version and first.overlaps(second)
