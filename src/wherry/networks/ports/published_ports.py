"""From what was asked (`-p`, `-P`) to what netd holds and the packet filter leads."""

import ipaddress
from collections.abc import Sequence, Set

from wherry.kit.values import replace
from wherry.model.containers import NetworkSpec
from wherry.model.errors import FeatureMissing, InvalidField
from wherry.model.networks import EndpointStatus, Port, PortBinding, PublishedPort
from wherry.netd.protocol import Held, Wish

ANY_V4, ANY_V6, LOOPBACK_V6 = "0.0.0.0", "::", "::1"
_PROTOCOLS = ("tcp", "udp", "sctp")


def wishes_of(
    spec: NetworkSpec,
    *,
    has_ipv6: bool,
    defaults: Sequence[str] = (),
    unled: Set[int] = frozenset(),
    filtered: Set[int] = frozenset(),
) -> tuple[Wish, ...]:
    """The host ports that a container wants.

    `defaults` are the network's addresses for ports without one (`host_binding_ipv4`, `_ipv6`);
    `unled` the versions of IP in which no host port leads to it; `filtered` those in which the
    packet filter does that: netd relays no SCTP.

    Raises: InvalidField for an address that is none; FeatureMissing.
    """
    wishes = (_wish(each, defaults, filtered, has_ipv6=has_ipv6) for each in bindings_of(spec))
    led = (
        replace(wish, addresses=tuple(x for x in wish.addresses if _version(x) not in unled))
        for wish in wishes
    )
    return tuple(each for each in led if each.addresses)


def direct_of(spec: NetworkSpec, direct: Set[int]) -> tuple[PublishedPort, ...]:
    """What a container publishes at its own addresses alone: no host port leads there."""
    ports = dict.fromkeys(binding.port for binding in bindings_of(spec))
    places = [address for address in (ANY_V4, ANY_V6) if _version(address) in direct]
    return tuple(
        PublishedPort(port=port, host_address=address, host_port=0)
        for port in ports
        for address in places
    )


def bindings_of(spec: NetworkSpec) -> Sequence[PortBinding]:
    """What a container publishes: what was named, and with `-P` the rest that is exposed."""
    if not spec.publishes_all:
        return spec.bindings
    bound = {binding.port for binding in spec.bindings}
    return [
        *spec.bindings,
        *(PortBinding(port=port) for port in spec.exposed if port not in bound),
    ]


def published_of(wishes: Sequence[Wish], ports: Sequence[int]) -> tuple[PublishedPort, ...]:
    """What became of the wishes."""
    return tuple(
        PublishedPort(
            port=Port(wish.port, wish.protocol), host_address=address, host_port=host_port
        )
        for wish, host_port in zip(wishes, ports, strict=True)
        for address in wish.addresses
    )


def wishes_again(published: Sequence[PublishedPort]) -> tuple[Wish, ...]:
    """The wishes that led to published ports, to hold exactly these again."""
    addresses: dict[tuple[Port, int], dict[str, None]] = {}
    for each in published:
        if not each.host_port:
            continue  # reached at the container's own address
        addresses.setdefault((each.port, each.host_port), {})[each.host_address] = None
    return tuple(
        Wish(
            protocol=port.protocol,
            addresses=tuple(wanted),
            first=host_port,
            last=host_port,
            port=port.number,
        )
        for (port, host_port), wanted in addresses.items()
    )


def are_held(wishes: Sequence[Wish], held: Sequence[Held], target: str) -> bool:
    """Whether exactly the wished ports are held, and lead to a target."""
    wanted = {
        (wish.protocol, address, wish.first) for wish in wishes for address in wish.addresses
    }
    found = {(each.protocol, each.address, each.host_port) for each in held}
    return found == wanted and all(each.target == target for each in held)


def filter_entries(endpoint: EndpointStatus) -> tuple[tuple[str, str, int, int], ...]:
    """Published ports as the packet filter leads them.

    An IPv6 port leads to the container's IPv6 address; where it has none, and for `::1`, netd
    relays.
    """
    return tuple(
        (
            each.port.protocol,
            "" if each.host_address == ANY_V4 else each.host_address,
            each.host_port,
            each.port.number,
        )
        for each in endpoint.published
        if _is_filtered(each, endpoint)
    )


def direct_entries(endpoint: EndpointStatus) -> tuple[tuple[str, str, int], ...]:
    """Published ports at the container's own addresses: address, protocol, port."""
    ports = dict.fromkeys(each.port for each in endpoint.published)
    addresses = tuple(filter(None, (endpoint.address, endpoint.ipv6_address)))
    return tuple((where, port.protocol, port.number) for port in ports for where in addresses)


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _is_filtered(published: PublishedPort, endpoint: EndpointStatus) -> bool:
    if not published.host_port:
        return False
    if ":" in published.host_address:
        return bool(endpoint.ipv6_address) and published.host_address != LOOPBACK_V6
    return bool(endpoint.address)


def _wish(
    binding: PortBinding, defaults: Sequence[str], filtered: Set[int], *, has_ipv6: bool
) -> Wish:
    protocol = binding.port.protocol
    if protocol not in _PROTOCOLS:
        raise FeatureMissing(f"publishing {protocol} ports")
    addresses = _addresses(binding.host_address, defaults, has_ipv6=has_ipv6)
    if protocol == "sctp":
        addresses = tuple(
            each for each in addresses if _version(each) in filtered and each != LOOPBACK_V6
        )
        if not addresses:
            where = binding.host_address or "addresses of a version of IP that the container lacks"
            raise FeatureMissing(f"publishing sctp ports on {where}")
    return Wish(
        protocol=protocol,
        addresses=addresses,
        first=binding.host_port,
        last=binding.host_port_end or binding.host_port,
        port=binding.port.number,
    )


def _addresses(wanted: str, defaults: Sequence[str], *, has_ipv6: bool) -> tuple[str, ...]:
    if not wanted:
        by_version = {":" in each: each for each in defaults}
        four, six = by_version.get(False, ANY_V4), by_version.get(True, ANY_V6)
        if False in by_version and True not in by_version:
            return (four,)  # bound to one address: nothing else is to answer
        return (four, six) if has_ipv6 else (four,)
    try:
        address = ipaddress.ip_address(wanted.strip("[]"))
    except ValueError as error:
        raise InvalidField("HostIp", wanted, "must be an IP address") from error
    return (str(address),)
