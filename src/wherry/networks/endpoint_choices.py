"""Which networks a container is to be on, what its endpoints are called, and which leads out."""

from collections.abc import Mapping, Sequence

from wherry.kit.random_ids import new_id, short_id
from wherry.kit.values import replace
from wherry.model.containers import NetworkSpec
from wherry.model.errors import InvalidValue
from wherry.model.errors.networks import ConnectionRefused, NetworkNotFound
from wherry.model.ids import EndpointId
from wherry.model.networks import EndpointStatus, EndpointWish, Network, NetworkModeKind
from wherry.networks import default_networks
from wherry.networks.endpoint_options import interface_of
from wherry.networks.network_table import NetworkTable
from wherry.networks.sandboxes import AttachRequest


def wishes_of(
    table: NetworkTable, spec: NetworkSpec, *, has_bridge: bool
) -> Sequence[EndpointWish]:
    """The networks that a container is to be on: that of its mode first, then by name.

    Raises: NetworkNotFound.
    """
    first = _network_of(table, spec, has_bridge=has_bridge)
    wishes = {table.find(each.network).id: each for each in spec.endpoints}
    if wishes and first.id not in wishes and first.driver != "host":
        # It was disconnected from the network that it was created on.
        first = table.find(min(wishes))
    mine = wishes.pop(first.id, None) or EndpointWish(network=first.name)
    mine = replace(mine, mac_address=mine.mac_address or spec.mac_address)
    others = sorted(wishes.items(), key=lambda item: table.find(item[0]).name)
    named = [(first, mine), *((table.find(key), each) for key, each in others)]
    return [replace(each, network=network.name) for network, each in named]


def named(
    network: Network, endpoint: EndpointStatus, request: AttachRequest, wish: EndpointWish
) -> EndpointStatus:
    """An endpoint with the names by which others on a user's network find it, and it them."""
    if network.is_builtin:
        return endpoint
    names = (
        request.container_name,
        *wish.aliases,
        short_id(request.container_id),
        request.hostname,
    )
    found = tuple(dict.fromkeys(each for each in names if each))
    return replace(endpoint, names=found, links=wish.links)


def with_way_out(
    endpoints: Sequence[EndpointStatus], wishes: Mapping[str, EndpointWish]
) -> list[EndpointStatus]:
    """The endpoints, with a way out for each version of IP: by priority, then by name."""

    def order(endpoint: EndpointStatus) -> tuple[int, str]:
        wish = wishes.get(endpoint.network_name)
        return -(wish.gateway_priority if wish else 0), endpoint.network_name

    def chosen(version: int) -> EndpointStatus | None:
        fit = (each for each in endpoints if each.can_lead_out(version))
        return min(fit, key=order, default=None)

    four, six = chosen(4), chosen(6)
    way_out = four or six
    return [
        replace(each, is_way_out=each is way_out, is_ipv6_way_out=each is six)
        for each in endpoints
    ]


def way_out_of(endpoints: Sequence[EndpointStatus]) -> EndpointStatus | None:
    """The endpoint of the default route, whose addresses published ports lead to."""
    return next((each for each in endpoints if each.is_way_out), None)


def check_may_connect(
    table: NetworkTable, spec: NetworkSpec, endpoints: Sequence[EndpointStatus], network: Network
) -> None:
    """Whether a container may join one more network, now or at its next start.

    Raises: ConnectionRefused.
    """
    drivers = {table.find(each.network_id).driver for each in endpoints}
    if network.driver == "host" and "host" not in drivers:
        raise ConnectionRefused("container cannot be connected to host network")
    if spec.mode.kind is NetworkModeKind.CONTAINER or "host" in drivers:
        raise ConnectionRefused(
            "container sharing network namespace with another container or host cannot be "
            "connected to any other network"
        )
    others = {each.network_id for each in endpoints} - {network.id}
    if others and "null" in drivers | {network.driver}:
        raise ConnectionRefused(
            "container cannot be connected to multiple networks with one of the networks in "
            "private (none) mode"
        )


def interface_for(wish: EndpointWish, endpoints: Sequence[EndpointStatus], prefix: str) -> str:
    """The name that was wished for, or the first that the container has not.

    Raises: InvalidValue when another of its interfaces has the wished name.
    """
    taken = {each.interface for each in endpoints}
    wished = interface_of(wish)
    if wished:
        if wished in taken:
            raise InvalidValue(f"invalid endpoint settings:\ninterface name {wished!r} is in use")
        return wished
    numbers = range(len(taken) + 1)
    return next(f"{prefix}{each}" for each in numbers if f"{prefix}{each}" not in taken)


def endpoint_without_address(network: Network) -> EndpointStatus:
    """An endpoint on host or none, or on any network while the container is not running."""
    return EndpointStatus(
        endpoint_id=EndpointId(new_id()), network_id=network.id, network_name=network.name
    )


def _network_of(table: NetworkTable, spec: NetworkSpec, *, has_bridge: bool) -> Network:
    if spec.is_disabled:
        return table.find(default_networks.NONE)
    match spec.mode.kind:
        case NetworkModeKind.DEFAULT:
            name = default_networks.BRIDGE if has_bridge else default_networks.NONE
            return table.find(name)
        case NetworkModeKind.NONE:
            return table.find(default_networks.NONE)
        case NetworkModeKind.HOST:
            return table.find(default_networks.HOST)
        case NetworkModeKind.NETWORK:
            return table.find(spec.mode.reference)
        case NetworkModeKind.CONTAINER:  # the caller knows the other one: `joined`
            raise NetworkNotFound(spec.mode.reference)
