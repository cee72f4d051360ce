"""Networks, between Docker's shapes and ours."""

from collections.abc import Iterable

from msgspec import UNSET

from wherry.api.translate.endpoints import to_endpoint_wish
from wherry.kit.timestamps import rfc3339_nano
from wherry.model.containers import Container
from wherry.model.errors import InvalidValue
from wherry.model.networks import AddressRange, EndpointWish, Network, NetworkRequest
from wherry.wire import networks as shapes


def to_network_request(body: shapes.NetworkCreateRequest) -> NetworkRequest:
    """What a user wants. Raises: InvalidValue."""
    ipam = body.IPAM or shapes.IpamRequest()
    template = body.ConfigFrom.Network if body.ConfigFrom is not None else ""
    if template and (ipam.Config or body.Options):
        raise InvalidValue(
            "user specified configurations are not supported if the network depends on a "
            "configuration network"
        )
    return NetworkRequest(
        name=body.Name,
        driver=body.Driver or "bridge",
        ranges=tuple(_ranges(ipam.Config or ())),
        options=body.Options or {},
        labels=body.Labels or {},
        has_ipv4=body.EnableIPv4,
        has_ipv6=body.EnableIPv6,
        is_internal=body.Internal,
        is_attachable=body.Attachable,
        is_ingress=body.Ingress,
        is_configuration=body.ConfigOnly,
        configured_by=template,
        scope=body.Scope or "local",
        ipam_driver=ipam.Driver or "default",
        ipam_options=ipam.Options,
    )


def to_connection(body: shapes.ConnectRequest) -> EndpointWish:
    """How a container is to be connected. Raises: InvalidValue."""
    return to_endpoint_wish("", body.EndpointConfig)


def to_network_answer(network: Network, containers: Iterable[Container]) -> shapes.NetworkAnswer:
    """A network and who is on it."""
    return shapes.NetworkAnswer(
        Name=network.name,
        Id=network.id,
        Created=rfc3339_nano(network.created_at_ns),
        Scope=network.scope,
        Driver=network.driver,
        EnableIPv4=network.has_ipv4,
        EnableIPv6=network.has_ipv6,
        IPAM=shapes.Ipam(
            Driver=network.ipam_driver,
            Options=None if network.ipam_options is None else dict(network.ipam_options),
            Config=[_pool(each) for each in network.ranges],
        ),
        Internal=network.is_internal,
        Attachable=network.is_attachable,
        ConfigFrom=shapes.ConfigReference(network.configured_by),
        ConfigOnly=network.is_configuration,
        Containers={
            container.id: shown
            for container in containers
            for shown in _endpoint(network, container)
        },
        Options=dict(network.options),
        Labels=dict(network.labels),
    )


def _pool(given: AddressRange) -> shapes.IpamPool:
    return shapes.IpamPool(
        Subnet=given.subnet,
        IPRange=given.allocated_from or UNSET,
        Gateway=given.gateway or UNSET,
        AuxiliaryAddresses=dict(given.reserved) or UNSET,
    )


def _ranges(given: Iterable[shapes.IpamPoolRequest]) -> list[AddressRange]:
    """The subnets with IPv4's first, as dockerd keeps them (the CLI sends them in any order).

    Raises: InvalidValue.
    """
    ranges = [_range(each) for each in given if each.Subnet or _fail(each)]
    return sorted(ranges, key=lambda each: ":" in each.subnet)


def _range(given: shapes.IpamPoolRequest) -> AddressRange:
    return AddressRange(
        subnet=given.Subnet,
        gateway=given.Gateway,
        allocated_from=given.IPRange,
        reserved=given.AuxiliaryAddresses or {},
    )


def _fail(given: shapes.IpamPoolRequest) -> bool:
    """A part of a subnet that was not named. Raises: InvalidValue."""
    if given.IPRange or given.Gateway or given.AuxiliaryAddresses:
        raise InvalidValue("invalid network config:\ninvalid subnet : invalid CIDR block notation")
    return False


def _endpoint(network: Network, container: Container) -> Iterable[shapes.NetworkContainer]:
    for endpoint in container.endpoints:
        if endpoint.network_id == network.id and endpoint.endpoint_id:
            address, address6 = endpoint.address, endpoint.ipv6_address
            yield shapes.NetworkContainer(
                Name=container.name,
                EndpointID=endpoint.endpoint_id,
                MacAddress=endpoint.mac_address,
                IPv4Address=f"{address}/{endpoint.prefix_length}" if address else "",
                IPv6Address=f"{address6}/{endpoint.ipv6_prefix_length}" if address6 else "",
            )
