"""Networks, endpoints and ports."""

from wherry.api.errors.rules import Rule, Rules
from wherry.kit.urls import with_port
from wherry.model.errors import networks as kinds


def _builtin_network(error: kinds.NetworkIsBuiltin) -> str:
    if error.action == "remove":
        return f"{error.name} is a pre-defined network and cannot be removed"
    return f"operation is not permitted on predefined {error.name} network"


def _port_in_use(error: kinds.PortInUse) -> str:
    """Docker's sentence; who has the port follows."""
    place = with_port(error.address, error.port)
    if not error.port:
        problem = "all ports are allocated"
    elif error.is_ours:
        problem = f"Bind for {place} failed: port is already allocated"
    else:
        problem = f"failed to bind host port for {place}:{error.leads_to}: address already in use"
    return (
        f"driver failed programming external connectivity on endpoint {error.endpoint}: "
        f"{problem} by {error.owner}"
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
    kinds.AddressesExhausted: Rule(
        503,
        lambda e: (
            f"no available IPv{e.version} addresses on this network's address pools: "
            f"{e.network} ({e.network_id})"
        ),
    ),
    kinds.SubnetsExhausted: Rule(
        400, lambda _: "all predefined address pools have been fully subnetted"
    ),
}
