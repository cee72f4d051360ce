"""From a network to what Docker shows of it."""

from collections.abc import Iterable

from msgspec import UNSET

from wherry.kit.timestamps import rfc3339_nano
from wherry.model.containers import Container
from wherry.model.networks import Network
from wherry.wire import networks as shapes


def to_network_answer(network: Network, containers: Iterable[Container]) -> shapes.NetworkAnswer:
    """A network and who is on it."""
    pools = [shapes.IpamPool(network.subnet, network.gateway or UNSET)] if network.subnet else []
    return shapes.NetworkAnswer(
        Name=network.name,
        Id=network.id,
        Created=rfc3339_nano(network.created_at_ns),
        Scope="local",
        Driver=network.driver,
        EnableIPv4=True,
        EnableIPv6=False,
        IPAM=shapes.Ipam(Driver="default", Options=None, Config=pools),
        Internal=network.is_internal,
        ConfigFrom=shapes.ConfigReference(),
        Containers={
            container.id: shown
            for container in containers
            for shown in _endpoint(network, container)
        },
        Options=dict(network.options),
        Labels=dict(network.labels),
    )


def _endpoint(network: Network, container: Container) -> Iterable[shapes.NetworkContainer]:
    for endpoint in container.endpoints:
        if endpoint.network_id == network.id and endpoint.endpoint_id:
            address = f"{endpoint.address}/{endpoint.prefix_length}" if endpoint.address else ""
            yield shapes.NetworkContainer(
                Name=container.name,
                EndpointID=endpoint.endpoint_id,
                MacAddress=endpoint.mac_address,
                IPv4Address=address,
                IPv6Address="",
            )
