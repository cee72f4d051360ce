"""Failures of networks: of their definitions, and of who is on them."""

from wherry.model.errors import (
    Broken,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unavailable,
    WherryError,
)


class NetworkNotFound(NotFound):
    """No network has this id or name."""

    reference: str


class AmbiguousNetwork(InvalidRequest):
    """An id prefix or name that fits several networks."""

    reference: str
    count: int


class NetworkNameTaken(Conflict):
    """Another network has the name."""

    name: str


class NetworkIsBuiltin(Forbidden):
    """bridge, host and none can't be removed, nor made again."""

    name: str
    action: str
    """`remove` or `create`."""


class NetworkInUse(Forbidden):
    """Containers are on the network."""

    name: str
    network: str
    holders: str
    """Names and endpoint ids, as Docker lists them."""


class SubnetTaken(Forbidden):
    """Another network, or the host, has addresses of the subnet."""

    subnet: str
    holder: str


class AddressTaken(Forbidden):
    """Another endpoint has the address."""

    address: str


class AlreadyConnected(Forbidden):
    """The container is on the network."""

    container: str
    network: str


class NotConnected(Forbidden):
    """The container is not on the network."""

    container: str
    network: str
    is_running: bool = True


class EndpointNotFound(NotFound):
    """Nobody of this name is on a network."""

    container: str


class ConnectionRefused(Forbidden):
    """This container and this network don't go together; `sentence` is Docker's."""

    sentence: str


class PortInUse(Conflict):
    """The host port is taken; `owner` says by whom, as far as we can see."""

    endpoint: str
    """Name and id of whose port it was to be."""
    address: str
    port: int
    """Zero: any of a range, and none was free."""
    leads_to: str
    """Where it was to lead: address, port and protocol."""
    owner: str
    is_ours: bool
    """Whether a container has it."""


class NetworkingFailed(Broken):
    """A container that is being started could not be put on its networks."""

    cause: WherryError


class AddressesExhausted(Unavailable):
    """No subnet of the network has a free address."""

    network: str
    network_id: str
    version: int


class SubnetsExhausted(InvalidRequest):
    """Every subnet of the pools that subnets are chosen from overlaps with one that is there."""


class ConfigurationNotFound(NotFound):
    """No configuration-only network of this name."""

    name: str
