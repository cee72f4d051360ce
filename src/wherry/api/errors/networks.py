"""Networks, endpoints and ports."""

from wherry.api.errors.rules import Rule, Rules
from wherry.model.errors import networks as kinds


def _builtin_network(error: kinds.NetworkIsBuiltin) -> str:
    if error.action == "remove":
        return f"{error.name} is a pre-defined network and cannot be removed"
    return f"operation is not permitted on predefined {error.name} network"


def _port_in_use(error: kinds.PortInUse) -> str:
    address = f"[{error.address}]" if ":" in error.address else error.address
    is_ours = error.owner.startswith("container ")
    problem = "port is already allocated" if is_ours else "address already in use"
    owner = f" by {error.owner}" if error.owner else ""
    return (
        "driver failed programming external connectivity: "
        f"Bind for {address or '0.0.0.0'}:{error.port}/{error.protocol} failed: "
        f"{problem}{owner}"
    )


RULES: Rules = {
    kinds.NetworkNotFound: Rule(404, lambda e: f"network {e.reference} not found"),
    kinds.AmbiguousNetwork: Rule(
        400,
        lambda e: f"network {e.reference} is ambiguous ({e.count} matches found based on name)",
    ),
    kinds.ConfigurationNotFound: Rule(
        404, lambda e: f'configuration network "{e.name}" does not exist'
    ),
    kinds.NetworkNameTaken: Rule(409, lambda e: f"network with name {e.name} already exists"),
    kinds.NetworkIsBuiltin: Rule(403, _builtin_network),
    kinds.NetworkInUse: Rule(
        403,
        lambda e: (
            f"error while removing network: network {e.name} has active endpoints ({e.holders})"
        ),
    ),
    kinds.SubnetTaken: Rule(
        403,
        lambda e: (
            "invalid pool request: Pool overlaps with other one on this address space: "
            f"{e.subnet} and {e.holder}"
        ),
    ),
    kinds.AddressTaken: Rule(403, lambda e: f"Address already in use: {e.address}"),
    kinds.AlreadyConnected: Rule(
        403,
        lambda e: f"endpoint with name {e.container} already exists in network {e.network}",
    ),
    kinds.NotConnected: Rule(
        403,
        lambda e: (
            f"container {e.container} is not connected to "
            f"{'' if e.is_running else 'the '}network {e.network}"
        ),
    ),
    kinds.EndpointNotFound: Rule(404, lambda e: f"endpoint {e.container} not found"),
    kinds.ConnectionRefused: Rule(403, lambda e: e.sentence),
    kinds.PortInUse: Rule(409, _port_in_use),
    kinds.AddressPoolExhausted: Rule(
        503, lambda e: f"no available IPv4 addresses on this network's address pools: {e.subnet}"
    ),
}
