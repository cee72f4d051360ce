"""From what a user asks of a network to its record: subnets, gateways, options, refusals."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network

from wherry.kit.random_ids import new_id
from wherry.kit.values import dataclass, replace
from wherry.model.errors import InvalidValue, NetworkIsBuiltin, SubnetTaken
from wherry.model.ids import NetworkId
from wherry.model.networks import AddressRange, EndpointWish, Network, NetworkRequest
from wherry.networks.addresses.pools import Subnet, choose_subnet
from wherry.networks.bridge_options import is_isolated
from wherry.networks.endpoint_options import interface_of, sysctls_of

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

    Raises: InvalidValue, SubnetTaken, AddressPoolExhausted.
    """
    if not (request.has_ipv4 or request.has_ipv6):
        raise InvalidValue("IPv4 or IPv6 must be enabled")
    ranges = tuple(_checked(each, request) for each in request.ranges)
    if not request.is_configuration:
        is_bridged = request.driver == "bridge"
        _refuse_overlaps(ranges, [each for each in occupied if is_bridged or not each.is_route])
        if request.ipam_driver == "default":
            ranges += tuple(_chosen(request, ranges, occupied, pools))
            ranges = tuple(_with_gateway(each, request) for each in ranges)
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


def _checked(given: AddressRange, request: NetworkRequest) -> AddressRange:
    """A subnet that was named, normalised. Raises: InvalidValue."""
    try:
        subnet = ip_network(given.subnet, strict=False)
    except ValueError as error:
        raise InvalidValue(
            f"invalid network config:\ninvalid subnet {given.subnet}: invalid CIDR block notation"
        ) from error
    if "/" not in given.subnet:
        raise InvalidValue(
            f"invalid network config:\ninvalid subnet {given.subnet}: invalid CIDR block notation"
        )
    if str(subnet) != given.subnet and subnet.network_address != ip_address(
        given.subnet.partition("/")[0]
    ):
        raise InvalidValue(
            f"invalid network config:\ninvalid subnet {given.subnet}: it should be {subnet}"
        )
    if subnet.version == 6 and not request.has_ipv6:
        raise InvalidValue("invalid network config:\nIPv6 subnet needs IPv6: --ipv6 is missing")
    if subnet.version == 4 and not request.has_ipv4:
        raise InvalidValue("invalid network config:\nIPv4 subnet needs IPv4: --ipv4=false is set")
    if subnet.num_addresses < 4:
        raise InvalidValue(
            f"invalid network config:\ninvalid subnet {given.subnet}: no room for containers"
        )
    _inside(given.gateway, subnet, "gateway address")
    for name, address in given.reserved.items():
        _inside(address, subnet, f"auxiliary address {name}")
    if given.allocated_from:
        _check_part(given.allocated_from, subnet)
    return replace(given, subnet=str(subnet))


def _inside(text: str, subnet: Subnet, what: str) -> None:
    if not text:
        return
    try:
        address = ip_address(text)
    except ValueError as error:
        raise InvalidValue(f"invalid network config:\ninvalid {what}: {text}") from error
    if address not in subnet:
        raise InvalidValue(
            f"invalid network config:\ninvalid {what} {text}: parent subnet is {subnet}"
        )


def _check_part(text: str, subnet: Subnet) -> None:
    try:
        part = ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidValue(
            f"invalid network config:\ninvalid ip-range {text}: invalid CIDR block notation"
        ) from error
    if part.version != subnet.version or not part.subnet_of(subnet):  # type: ignore[arg-type]
        raise InvalidValue(
            f"invalid network config:\ninvalid ip-range {text}: parent subnet is {subnet}"
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
    subnet = ip_network(given.subnet)
    kept = set(given.reserved.values())
    candidates = (address for address in part if address != subnet.network_address)
    return replace(given, gateway=str(next(each for each in candidates if str(each) not in kept)))


def check_wish(network: Network, wish: EndpointWish) -> None:
    """Whether an endpoint can be wished for on a network at all. Raises: InvalidValue."""
    sysctls_of(wish, interface_of(wish))
    if not network.is_builtin and network.driver != "null":
        for wanted in filter(None, (wish.ipv4_address, wish.ipv6_address)):
            _check_wished_address(network, wanted)
        return
    if wish.ipv4_address or wish.ipv6_address:
        raise InvalidValue(
            f"invalid config for network {network.name}: invalid endpoint settings:\n"
            "user specified IP address is supported on user defined networks only"
        )
    if wish.aliases:
        raise InvalidValue(
            f"invalid config for network {network.name}: invalid endpoint settings:\n"
            "network-scoped aliases are only supported for user-defined networks"
        )


def _check_wished_address(network: Network, wanted: str) -> None:
    """Whether an address can be had on a user's network. Raises: InvalidValue."""
    version = 6 if ":" in wanted else 4
    refused = f"invalid config for network {network.name}: invalid endpoint settings:\n"
    try:
        address = ip_address(wanted)
    except ValueError as error:
        raise InvalidValue(f"{refused}invalid IPv{version} address: {wanted}") from error
    named = [
        ip_network(each.subnet)
        for each in network.ranges
        if not each.is_chosen and each.version == version
    ]
    if not named:
        raise InvalidValue(
            f"{refused}user specified IP address is supported only when connecting to networks "
            "with user configured subnets"
        )
    if not any(address in each for each in named):
        raise InvalidValue(
            f"{refused}no configured subnet or ip-range contain the IP address {wanted}"
        )
