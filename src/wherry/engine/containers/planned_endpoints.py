"""Which networks a container is to be on, before it is on any.

A network need not be there before the start, so a wish may name one that is unknown yet.
"""

from wherry.kit.values import replace
from wherry.model.containers import NetworkSpec
from wherry.model.errors import InvalidValue
from wherry.model.errors.networks import NetworkNotFound
from wherry.model.ids import EndpointId, NetworkId
from wherry.model.networks import EndpointStatus, EndpointWish, NetworkMode, NetworkModeKind
from wherry.networks import Networks, check_wish

_ALONE = frozenset({NetworkModeKind.CONTAINER, NetworkModeKind.HOST, NetworkModeKind.NONE})
"""Modes that go with no network beside them."""
_ALONE_NAMES = frozenset({NetworkModeKind.HOST.value, NetworkModeKind.NONE.value})


def with_all_wishes(network: NetworkSpec, networks: Networks) -> NetworkSpec:
    """The wishes for single networks, with that of the mode among them.

    Raises: InvalidValue, ConnectionRefused.
    """
    name = _network_name(network.mode)
    is_alone = network.is_disabled or network.mode.kind in _ALONE
    wishes = {each.network: each for each in network.endpoints}
    if (is_alone or wishes.keys() & _ALONE_NAMES) and wishes.keys() - {name}:
        raise InvalidValue(
            "conflicting options: cannot attach both user-defined and non-user-defined "
            "network-modes"
        )
    if not is_alone:
        mine = wishes.pop(name, None) or EndpointWish(network=name)
        wishes = {name: mine, **wishes}
    for wish in wishes.values():
        _check(wish, networks)
    return replace(network, endpoints=() if is_alone else tuple(wishes.values()))


def _check(wish: EndpointWish, networks: Networks) -> None:
    try:
        check_wish(networks.get(wish.network), wish)
    except NetworkNotFound:
        pass  # It may be there before the start.
    except InvalidValue as error:
        raise InvalidValue(
            f"invalid config for network {wish.network}: {error.sentence}"
        ) from error


def planned_endpoints(network: NetworkSpec, networks: Networks) -> tuple[EndpointStatus, ...]:
    """Where it will be connected; a network that is not there yet may come before a start."""
    if network.is_disabled or network.mode.kind is NetworkModeKind.CONTAINER:
        return ()
    names = [each.network for each in network.endpoints] or [_network_name(network.mode)]
    planned = []
    for name in names:
        try:
            found = networks.get(name)
        except NetworkNotFound:
            planned.append(_unconnected(NetworkId(""), name))
        else:
            planned.append(_unconnected(found.id, found.name))
    return tuple(planned)


def _network_name(mode: NetworkMode) -> str:
    if mode.kind is NetworkModeKind.NETWORK:
        return mode.reference
    return "bridge" if mode.kind is NetworkModeKind.DEFAULT else mode.kind.value


def _unconnected(network_id: NetworkId, name: str) -> EndpointStatus:
    return EndpointStatus(endpoint_id=EndpointId(""), network_id=network_id, network_name=name)
