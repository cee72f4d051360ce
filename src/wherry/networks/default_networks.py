"""The three networks that every engine has: bridge, host and none."""

import hashlib

from wherry.model.ids import NetworkId
from wherry.model.networks import Network
from wherry.networks.drivers.bridge import BridgeSettings

BRIDGE, HOST, NONE = "bridge", "host", "none"
_MTU = "1500"


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
                options=_bridge_options(settings.name),
                is_builtin=True,
            ),
        )
    return tuple(networks)


def _network_id(engine_id: str, name: str) -> NetworkId:
    return NetworkId(hashlib.sha256(f"{engine_id} network {name}".encode()).hexdigest())


def _bridge_options(name: str) -> dict[str, str]:
    """The labels under which Docker's clients look for a bridge's settings."""
    prefix = "com.docker.network.bridge"
    return {
        f"{prefix}.default_bridge": "true",
        f"{prefix}.enable_icc": "true",
        f"{prefix}.enable_ip_masquerade": "true",
        f"{prefix}.host_binding_ipv4": "0.0.0.0",
        f"{prefix}.name": name,
        "com.docker.network.driver.mtu": _MTU,
    }
