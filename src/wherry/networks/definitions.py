"""From what a user asks of a network to its record: subnets, gateways, options, refusals."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network

from wherry.kit.random_ids import new_id
from wherry.kit.values import dataclass, replace
from wherry.model.errors import InvalidValue
from wherry.model.errors.networks import ConnectionRefused, NetworkIsBuiltin, SubnetTaken
from wherry.model.ids import NetworkId
from wherry.model.networks import AddressRange, Network, NetworkRequest
from wherry.networks.addresses.pools import Subnet, choose_subnet
from wherry.networks.bridge_options import is_isolated
from wherry.networks.given_ranges import checked_ranges, refuse_unusable, unusable

BUILTIN_NAMES = frozenset({"bridge", "host", "none", "default", "container"})
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """A subnet that can't be had, and whose it is."""

    subnet: Subnet
    holder: str
    is_route: bool = False
    """Whether it is the host's, beyond a link: networks of that link have it too."""


def check_name(name: str) -> None:
    """Raises: InvalidValue, NetworkIsBuiltin."""
    if name in BUILTIN_NAMES:
        raise NetworkIsBuiltin(name, "create")
    if not name.strip():
        raise InvalidValue("invalid name: name is empty")
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"invalid name: {name} includes invalid characters, only "
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'
        )


def defined(
    request: NetworkRequest,
    *,
    occupied: Sequence[Occupied],
    pools: Sequence[tuple[Subnet, int]],
    created_at_ns: int,
) -> Network:
    """The record of a network, with subnets chosen where none were named.

    Raises: InvalidValue, SubnetTaken, SubnetsExhausted.
    """
    if not (request.has_ipv4 or request.has_ipv6):
        raise InvalidValue("IPv4 or IPv6 must be enabled")
    versions = {4: request.has_ipv4, 6: request.has_ipv6}
    ranges = checked_ranges(request.ranges, versions)
    if not request.is_configuration:
        is_bridged = request.driver == "bridge"
        _refuse_overlaps(ranges, [each for each in occupied if is_bridged or not each.is_route])
        if request.ipam_driver == "default":
            ranges += tuple(_chosen(request, ranges, occupied, pools))
            ranges = tuple(_with_gateway(each, request) for each in ranges)
            for each in ranges:
                refuse_unusable(each)
    return Network(
        id=NetworkId(new_id()),
        name=request.name,
        driver=request.driver,
        created_at_ns=created_at_ns,
        ranges=ranges,
        options=request.options,
        labels=request.labels,
        has_ipv4=bool(request.has_ipv4),
        has_ipv6=bool(request.has_ipv6),
        is_internal=request.is_internal,
        is_attachable=request.is_attachable,
        is_configuration=request.is_configuration,
        configured_by=request.configured_by,
        scope=request.scope,
        ipam_driver=request.ipam_driver,
        ipam_options=request.ipam_options,
    )


def _refuse_overlaps(ranges: Iterable[AddressRange], occupied: Sequence[Occupied]) -> None:
    seen = list(occupied)
    for each in ranges:
        subnet = ip_network(each.subnet)
        for other in seen:
            same_family = other.subnet.version == subnet.version
            if same_family and subnet.overlaps(other.subnet):
                raise SubnetTaken(each.subnet, other.holder)
        seen.append(Occupied(subnet=subnet, holder=each.subnet))


def _chosen(
    request: NetworkRequest,
    ranges: Sequence[AddressRange],
    occupied: Sequence[Occupied],
    pools: Sequence[tuple[Subnet, int]],
) -> Iterable[AddressRange]:
    """Subnets for the families that are wanted and have none."""
    taken = [each.subnet for each in occupied] + [ip_network(each.subnet) for each in ranges]
    for wanted, ipv6 in ((request.has_ipv4, False), (request.has_ipv6, True)):
        if wanted and not any(each.is_ipv6 is ipv6 for each in ranges):
            subnet = choose_subnet(taken, pools, ipv6=ipv6)
            yield AddressRange(subnet=str(subnet), is_chosen=True)


def _with_gateway(given: AddressRange, request: NetworkRequest) -> AddressRange:
    """The first address that is free becomes the gateway where none was named."""
    if given.gateway or request.driver in ("macvlan", "ipvlan"):
        # On a network of others, a gateway is nothing to be guessed.
        return given
    if request.driver == "bridge" and is_isolated(request.options, given.version):
        return given
    part = ip_network(given.allocated_from or given.subnet)
    kept = {ip_address(each) for each in given.reserved.values()}
    kept |= unusable(ip_network(given.subnet))
    free = next((address for address in part if address not in kept), None)
    if free is None:
        raise ConnectionRefused(
            "failed to allocate gateway (): No available addresses on this pool"
        )
    return replace(given, gateway=str(free))
