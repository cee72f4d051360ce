"""The three networks that every engine has: bridge, host and none."""

import hashlib

from wherry.model.ids import NetworkId
from wherry.model.networks import Network
from wherry.networks import bridge_options
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.option_values import MTU

BRIDGE, HOST, NONE = "bridge", "host", "none"
_MTU, _ANY = 1500, "0.0.0.0"


def default_networks(
    settings: BridgeSettings | None, *, engine_id: str, created_at_ns: int
) -> tuple[Network, ...]:
    """The records; ids follow from the engine's, so they stay the same over restarts."""
    networks = [
        Network(
            id=_network_id(engine_id, name),
            name=name,
            driver=driver,
            created_at_ns=created_at_ns,
            is_builtin=True,
        )
        for name, driver in ((HOST, "host"), (NONE, "null"))
    ]
    if settings is not None:
        networks.insert(
            0,
            Network(
                id=_network_id(engine_id, BRIDGE),
                name=BRIDGE,
                driver="bridge",
                created_at_ns=created_at_ns,
                ranges=settings.ranges,
                has_ipv6=settings.has_ipv6,
                options=_bridge_options(settings),
                is_builtin=True,
            ),
        )
    return tuple(networks)


def _network_id(engine_id: str, name: str) -> NetworkId:
    return NetworkId(hashlib.sha256(f"{engine_id} network {name}".encode()).hexdigest())


def _bridge_options(settings: BridgeSettings) -> dict[str, str]:
    """The labels under which Docker's clients look for a bridge's settings."""
    return {
        f"{bridge_options.BRIDGE}.default_bridge": "true",
        f"{bridge_options.BRIDGE}.enable_icc": str(settings.may_meet).lower(),
        f"{bridge_options.BRIDGE}.enable_ip_masquerade": str(bool(settings.masqueraded)).lower(),
        f"{bridge_options.BRIDGE}.host_binding_ipv4": "".join(settings.host_addresses) or _ANY,
        f"{bridge_options.BRIDGE}.name": settings.name,
        MTU: str(settings.mtu or _MTU),
    }
