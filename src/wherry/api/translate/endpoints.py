"""Endpoints, between Docker's shapes and ours: what was wished and what came of it."""

import re
from ipaddress import ip_address
from typing import Any

from wherry.model.errors import InvalidValue
from wherry.model.networks import EndpointStatus, EndpointWish
from wherry.wire.container_config import EndpointSettings

_MAC_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,254}")
"""What may be a name in a DNS answer or a hosts file without changing its meaning."""


def to_endpoint_wish(network: str, settings: EndpointSettings | None) -> EndpointWish:
    """How a container is to be connected to a network. Raises: InvalidValue."""
    if settings is None:
        return EndpointWish(network=network)
    ipam = settings.IPAMConfig or {}
    for alias in settings.Aliases or ():
        if not _NAME.fullmatch(alias):
            raise InvalidValue(f"invalid network alias: {alias!r}")
    return EndpointWish(
        network=network,
        aliases=tuple(settings.Aliases or ()),
        links=tuple(":".join(to_link(each)) for each in settings.Links or ()),
        ipv4_address=_text(ipam.get("IPv4Address")),
        ipv6_address=_text(ipam.get("IPv6Address")),
        link_local=tuple(to_link_local(each) for each in _list(ipam.get("LinkLocalIPs"))),
        mac_address=to_mac_address(settings.MacAddress),
        driver_options=settings.DriverOpts or {},
        gateway_priority=settings.GwPriority,
    )


def to_link(text: str) -> tuple[str, str]:
    """The container and the alias of `db:store`, or of `db`. Raises: InvalidValue."""
    name, _, alias = text.removeprefix("/").partition(":")
    # What inspection showed, `/db:/web/store`, may come back.
    alias = alias.rpartition("/")[2] or name
    if not name or not _NAME.fullmatch(alias):
        raise InvalidValue(f"bad format for links: {text}")
    return name, alias


def to_link_local(text: object) -> str:
    """An address that means something on one link alone. Raises: InvalidValue."""
    try:
        address = ip_address(_text(text))
    except ValueError:
        address = None
    if address is None or not address.is_link_local:
        raise InvalidValue(f"invalid endpoint settings:\ninvalid link-local IP address: {text}")
    return str(address)


def to_mac_address(text: str) -> str:
    """A MAC address in lower case with colons; empty stays empty. Raises: InvalidValue."""
    if text and not _MAC_ADDRESS.fullmatch(text):
        raise InvalidValue(f"invalid MAC address {text}")
    return text.lower().replace("-", ":")


def to_endpoint_settings(
    endpoint: EndpointStatus, wish: EndpointWish | None, wished_mac_address: str
) -> EndpointSettings:
    """An endpoint as inspection shows it."""
    wished = wish or EndpointWish(network="")
    addresses = {"IPv4Address": wished.ipv4_address, "IPv6Address": wished.ipv6_address}
    ipam: dict[str, Any] = {name: address for name, address in addresses.items() if address}
    if wished.link_local:
        ipam["LinkLocalIPs"] = list(wished.link_local)
    return EndpointSettings(
        IPAMConfig=ipam or None,
        Links=list(wished.links) or None,
        Aliases=list(wished.aliases) or None,
        MacAddress=endpoint.mac_address or wished.mac_address or wished_mac_address,
        DriverOpts=dict(wished.driver_options) or None,
        GwPriority=wished.gateway_priority,
        NetworkID=endpoint.network_id,
        EndpointID=endpoint.endpoint_id,
        Gateway=endpoint.gateway,
        IPAddress=endpoint.address,
        IPPrefixLen=endpoint.prefix_length,
        IPv6Gateway=endpoint.ipv6_gateway,
        GlobalIPv6Address=endpoint.ipv6_address,
        GlobalIPv6PrefixLen=endpoint.ipv6_prefix_length,
        DNSNames=list(endpoint.names) or None,
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidValue(f"invalid IP address: {value!r}")
    return value


def _list(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidValue(f"invalid IP addresses: {value!r}")
    return value
