"""Answers about networks."""

from msgspec import UNSET, Struct, UnsetType


class IpamPool(Struct):
    """A subnet that addresses come from."""

    Subnet: str
    Gateway: str | UnsetType = UNSET


class Ipam(Struct):
    """Who gives out addresses, and from where."""

    Driver: str
    Options: dict[str, str] | None
    Config: list[IpamPool]


class ConfigReference(Struct):
    """The network that this one takes its configuration from."""

    Network: str = ""


class NetworkContainer(Struct):
    """A running container on a network."""

    Name: str
    EndpointID: str
    MacAddress: str
    IPv4Address: str
    IPv6Address: str


class NetworkAnswer(Struct, kw_only=True):
    """A network."""

    Name: str
    Id: str
    Created: str
    Scope: str
    Driver: str
    EnableIPv4: bool
    EnableIPv6: bool
    IPAM: Ipam
    Internal: bool
    Attachable: bool = False
    Ingress: bool = False
    ConfigFrom: ConfigReference
    ConfigOnly: bool = False
    Containers: dict[str, NetworkContainer]
    Options: dict[str, str]
    Labels: dict[str, str]
