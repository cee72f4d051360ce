"""What a user asks of a network, checked and completed before anything is decided.

A network may take its configuration from a *template* (`--config-only`, `--config-from`), which
is a record and nothing else. What neither says comes from the daemon's own words.
"""

from collections.abc import Iterable, Mapping

from wherry.kit.values import replace
from wherry.model.errors import InvalidValue, NoCluster
from wherry.model.errors.networks import ConfigurationNotFound, ConnectionRefused
from wherry.model.networks import Network, NetworkRequest
from wherry.networks.bridge_options import ENABLE
from wherry.networks.option_values import flag

_BUILT_IN = ("bridge", "macvlan", "ipvlan", "overlay")


def check_reach(request: NetworkRequest) -> None:
    """Refuse what no user can have one of, or only in a cluster.

    Raises: ConnectionRefused, InvalidValue, NoCluster.
    """
    if request.driver in ("host", "null"):
        raise ConnectionRefused(f'only one instance of "{request.driver}" network is allowed')
    if request.driver == "overlay" or request.scope in ("swarm", "global"):
        raise NoCluster()
    if request.scope != "local":
        raise InvalidValue(f"invalid network scope: {request.scope}")
    if request.is_ingress:
        raise ConnectionRefused("Ingress network can only be global scope network")
    if request.is_configuration and (request.is_internal or request.is_attachable):
        raise ConnectionRefused(
            "configuration network can only contain network specific fields. Network operator "
            "fields like [ ingress | internal | attachable | scope ] are not supported."
        )


def completed(
    request: NetworkRequest,
    networks: Iterable[Network],
    driver_options: Mapping[str, Mapping[str, str]],
) -> NetworkRequest:
    """The request with what its template says, or what networks of its driver have else.

    Raises: ConfigurationNotFound, ConnectionRefused, InvalidValue.
    """
    if not request.configured_by:
        return _with_defaults(request, driver_options.get(request.driver, {}))
    if request.is_configuration:
        raise ConnectionRefused(
            "a configuration network cannot depend on another configuration network"
        )
    for network in networks:
        if network.is_configuration and network.name == request.configured_by:
            return replace(
                request,
                ranges=network.ranges,
                options=network.options,
                has_ipv4=network.has_ipv4,
                has_ipv6=network.has_ipv6,
                ipam_driver=network.ipam_driver,
                ipam_options=network.ipam_options,
            )
    raise ConfigurationNotFound(request.configured_by)


def check_may_go(network: Network, networks: Iterable[Network]) -> None:
    """Refuse to remove a template that a network has. Raises: ConnectionRefused."""
    if network.is_configuration and any(x.configured_by == network.name for x in networks):
        raise ConnectionRefused(f'configuration network "{network.name}" is in use')


def without_addresses(request: NetworkRequest) -> NetworkRequest:
    """A request for a network whose plugin brings the addresses (the IPAM driver null).

    Raises: InvalidValue, with Docker's sentences.
    """
    if is_built_in(request.driver):
        raise InvalidValue("ipv4 pool is empty")
    if request.ranges:
        raise InvalidValue("null ipam driver does not handle specific address pool requests")
    return request


def is_built_in(driver: str) -> bool:
    """Whether networks of a driver are made by the engine itself, and no plugin."""
    return driver in _BUILT_IN


def plugin_not_found(driver: str) -> InvalidValue:
    """What there is to say of a driver that nobody is."""
    return InvalidValue(f"could not find plugin {driver} in v1 plugin registry: plugin not found")


def _with_defaults(request: NetworkRequest, own: Mapping[str, str]) -> NetworkRequest:
    options = {**own, **request.options}
    has_ipv4, has_ipv6 = request.has_ipv4, request.has_ipv6
    if has_ipv4 is None:
        has_ipv4 = flag(options, f"{ENABLE}4", default=True)
    if has_ipv6 is None:
        has_ipv6 = flag(options, f"{ENABLE}6", default=False)
    return replace(request, options=options, has_ipv4=has_ipv4, has_ipv6=has_ipv6)
