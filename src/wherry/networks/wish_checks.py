"""Whether an endpoint can be wished for on a network: checked as Docker does, all faults at once.

(validateEndpointSettings in daemon/container_operations.go, api/types/network/endpoint.go)
"""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from wherry.model.errors import InvalidValue
from wherry.model.networks import EndpointWish, Network
from wherry.networks.endpoint_options import interface_of, sysctls_of
from wherry.networks.given_ranges import told_together


def check_wish(network: Network, wish: EndpointWish) -> None:
    """Refuse what can't be on a network. Raises: InvalidValue."""
    sysctls_of(wish, interface_of(wish))
    faults = [*_predefined_faults(network, wish), *_address_faults(network, wish)]
    if faults:
        raise InvalidValue(f"invalid endpoint settings:\n{told_together(faults)}")


def _predefined_faults(network: Network, wish: EndpointWish) -> Iterator[str]:
    if network.is_builtin:
        if wish.ipv4_address or wish.ipv6_address:
            yield "user specified IP address is supported on user defined networks only"
        if wish.aliases:
            yield "network-scoped aliases are only supported for user-defined networks"


def _address_faults(network: Network, wish: EndpointWish) -> Iterator[str]:
    wished = {4: wish.ipv4_address, 6: wish.ipv6_address}
    wished = {version: text for version, text in wished.items() if text}
    for version, text in wished.items():
        if not _is_address(text, version):
            yield f"invalid IPv{version} address: {text}"
    for version, text in wished.items():
        named = [
            ip_network(each.subnet)
            for each in network.ranges
            if each.version == version and (network.is_builtin or not each.is_chosen)
        ]
        if not named:
            yield (
                "user specified IP address is supported only when connecting to networks with "
                "user configured subnets"
            )
        elif not (_is_address(text, version) and any(ip_address(text) in x for x in named)):
            yield f"no configured subnet or ip-range contain the IP address {text}"


def _is_address(text: str, version: int) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return address.version == version and not address.is_unspecified
