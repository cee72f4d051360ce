"""Options of a bridge network (`network create -o`), and the bridge that follows from them.

    com.docker.network.bridge.name                    the link; else br- and the network's id
    com.docker.network.bridge.enable_icc              whether its containers may meet
    com.docker.network.bridge.enable_ip_masquerade    whether what leaves has the host's address
    com.docker.network.bridge.gateway_mode_ipv4/6     nat, nat-unprotected, routed, isolated
    com.docker.network.bridge.host_binding_ipv4/6     where ports without an address are published
    com.docker.network.bridge.inhibit_ipv4            the bridge has no IPv4 address
    com.docker.network.bridge.trusted_host_interfaces links by which ports are reached directly
    com.docker.network.host_ipv4/6                    the address that what leaves has
    com.docker.network.container_iface_prefix         what interfaces inside begin with
    com.docker.network.driver.mtu

(docs.docker.com/engine/network/drivers/bridge and /engine/network/packet-filtering-firewalls)
"""

from collections.abc import Mapping
from ipaddress import ip_address

from wherry.model.errors import InvalidValue
from wherry.model.networks import Network
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.option_values import MTU, flag, number, refuse

BRIDGE = "com.docker.network.bridge"
PREFIX = "com.docker.network.container_iface_prefix"
ENABLE = "com.docker.network.enable_ipv"
"""With a version: whether a network has it that says nothing (`--default-network-opt`)."""

_NAME_DIGITS = 12
"""Digits of the network's id in `br-ID`, as Docker names its bridges."""
_HOST_ADDRESS = "com.docker.network.host_ipv"
_VERSIONS = (4, 6)
_MODES = ("nat", "nat-unprotected", "routed", "isolated")
_LEAST_MTU = {4: 68, 6: 1280}
"""RFC 791 and RFC 8200."""
_LARGEST_MTU = 65535
"""ETH_MAX_MTU, the most that a link of the kernel's takes."""


def settings_of(
    network: Network,
    *,
    table: str,
    alias: str,
    forwards: bool = True,
    allows_direct_routing: bool = False,
    is_filtered: bool = True,
) -> BridgeSettings:
    """The bridge of a user's network, by its options. Raises: InvalidValue."""
    options = network.options
    name = options.get(f"{BRIDGE}.name") or f"br-{network.id[:_NAME_DIGITS]}"
    if not bridge.is_valid_name(name):
        raise InvalidValue(f"invalid bridge name: {name!r}")
    if flag(options, f"{BRIDGE}.default_bridge", default=False):
        raise InvalidValue("default bridge network already exists")
    modes = {version: _mode(network, version) for version in _VERSIONS}
    is_masqueraded = flag(options, f"{BRIDGE}.enable_ip_masquerade", default=True)

    def versions(*wanted: str) -> frozenset[int]:
        return frozenset(each for each, mode in modes.items() if mode in wanted)

    return BridgeSettings(
        name=name,
        ranges=network.ranges,
        alias=alias,
        table=table,
        mtu=_mtu(network),
        may_meet=flag(options, f"{BRIDGE}.enable_icc", default=True),
        masqueraded=versions("nat", "nat-unprotected") if is_masqueraded else frozenset(),
        is_internal=network.is_internal,
        open=versions("nat-unprotected"),
        routed=versions("routed"),
        sources=_addresses(options, _HOST_ADDRESS),
        trusted=_trusted(options),
        unaddressed=frozenset({4} if flag(options, f"{BRIDGE}.inhibit_ipv4", default=False)
                              else ()),
        interface_prefix=interface_prefix(options),
        host_addresses=_addresses(options, f"{BRIDGE}.host_binding_ipv"),
        allows_direct_routing=allows_direct_routing,
        forwards=forwards,
        is_filtered=is_filtered,
        why_made=f"docker network create {network.name}",
    )  # fmt: skip


def is_isolated(options: Mapping[str, str], version: int) -> bool:
    """Whether the bridge has no address of a version, so that the host is not reached."""
    return options.get(f"{BRIDGE}.gateway_mode_ipv{version}") == "isolated"


def interface_prefix(options: Mapping[str, str]) -> str:
    """What interfaces inside begin with. Raises: InvalidValue."""
    prefix = options.get(PREFIX) or "eth"
    if not bridge.is_valid_name(f"{prefix}99"):
        raise InvalidValue(f"invalid interface prefix: {prefix!r}")
    return prefix


def _mode(network: Network, version: int) -> str:
    mode = network.options.get(f"{BRIDGE}.gateway_mode_ipv{version}") or "nat"
    if mode not in _MODES:
        raise InvalidValue(f"unknown gateway mode {mode}")
    if mode == "isolated" and not network.is_internal:
        raise InvalidValue("gateway mode 'isolated' can only be used for an internal network")
    return mode


def _mtu(network: Network) -> int:
    mtu = number(network.options, MTU, default=0)
    least = max((_LEAST_MTU[each.version] for each in network.ranges), default=0)
    if mtu < 0 or 0 < mtu < least or mtu > _LARGEST_MTU:
        raise InvalidValue(f"invalid MTU number: {mtu}")
    return mtu


def _addresses(options: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Addresses of the host, one for a version; "any" counts as none. Raises: InvalidValue."""
    found = []
    for version in _VERSIONS:
        option = f"{name}{version}"
        text = options.get(option, "")
        try:
            address = ip_address(text) if text else None
        except ValueError:
            refuse(option, text, "nil ip")
        if address is None or address.is_unspecified:
            continue
        if address.version != version:
            refuse(option, text, f"not an IPv{version} address")
        found.append(str(address))
    return tuple(found)


def _trusted(options: Mapping[str, str]) -> tuple[str, ...]:
    option = f"{BRIDGE}.trusted_host_interfaces"
    names = tuple(filter(None, options.get(option, "").split(":")))
    for name in names:
        if not bridge.is_valid_name(name):
            refuse(option, name, "not the name of an interface")
    return names
