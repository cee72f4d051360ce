"""Networks, endpoints and published ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from wherry.model.ids import EndpointId, NetworkId


class Protocol(Enum):
    """Transport protocols of a port."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port inside a container; written `80/tcp`."""

    number: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    """A wish to publish a container's port on the host."""

    port: Port
    host_address: str = ""
    """Empty: every address of the host, both families."""
    host_port: int = 0
    """Zero: a free one of the ephemeral range."""
    host_port_end: int = 0
    """Last of a range to choose from; zero: no range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A host port that leads to a container's port now."""

    port: Port
    host_address: str
    """`0.0.0.0`, `::`, or one address."""
    host_port: int


class NetworkModeKind(Enum):
    """The ways in which a container can be connected."""

    DEFAULT = "default"
    """The engine's default bridge."""
    NONE = "none"
    HOST = "host"
    CONTAINER = "container"
    """Shares the network namespace of another container."""
    NETWORK = "network"
    """A network by name or id."""


@dataclass(frozen=True, slots=True)
class NetworkMode:
    """How a container is connected; `reference` names the container or network."""

    kind: NetworkModeKind = NetworkModeKind.DEFAULT
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The record of a network."""

    id: NetworkId
    name: str
    driver: str
    created_at_ns: int
    subnet: str = ""
    gateway: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    is_internal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """A container on a network. Empty addresses: not connected at present."""

    endpoint_id: EndpointId
    network_id: NetworkId
    network_name: str
    address: str = ""
    prefix_length: int = 0
    gateway: str = ""
    mac_address: str = ""
    interface: str = ""
    published: tuple[PublishedPort, ...] = ()
