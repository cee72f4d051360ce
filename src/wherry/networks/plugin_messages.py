"""What plugins of networks and of addresses are asked, and answer.

(moby/docs: libnetwork's remote driver and remote IPAM driver protocols)
"""

from collections.abc import Mapping

from msgspec import Struct

from wherry.plugins import Answer

# -- networks --------------------------------------------------------------------------------


class NetworkCapabilities(Answer):
    """How far a driver's networks reach: `local` or `global`."""

    Scope: str = ""


class PoolData(Struct):
    """A subnet of a network; addresses with the subnet's prefix length."""

    AddressSpace: str
    Pool: str
    Gateway: str = ""
    AuxAddresses: Mapping[str, str] = {}


class NetworkCreation(Struct):
    """A network that is to be."""

    NetworkID: str
    Options: Mapping[str, bool | Mapping[str, str]]
    IPv4Data: tuple[PoolData, ...]
    IPv6Data: tuple[PoolData, ...]


class NetworkNamed(Struct):
    """About a network."""

    NetworkID: str


class InterfaceData(Struct, omit_defaults=True):
    """An endpoint's addresses, with prefix lengths."""

    Address: str = ""
    AddressIPv6: str = ""
    MacAddress: str = ""


class EndpointCreation(Struct):
    """An endpoint that is to be."""

    NetworkID: str
    EndpointID: str
    Interface: InterfaceData
    Options: Mapping[str, Mapping[str, str]] = {}


class EndpointCreated(Answer):
    """What the driver chose that was left open."""

    Interface: InterfaceData | None = None


class EndpointNamed(Struct):
    """About an endpoint."""

    NetworkID: str
    EndpointID: str


class Join(Struct):
    """A container that is about to get an endpoint."""

    NetworkID: str
    EndpointID: str
    SandboxKey: str
    """The path of its network namespace."""
    Options: Mapping[str, Mapping[str, str]] = {}


class LinkName(Struct):
    """A link that the driver made on the host, and what its name inside begins with."""

    SrcName: str = ""
    DstPrefix: str = ""


class StaticRoute(Struct):
    """A route; with a next hop (type 0), or by the link (type 1)."""

    Destination: str = ""
    RouteType: int = 0
    NextHop: str = ""


class Joined(Answer):
    """What is to be moved inside, and how the container gets out."""

    InterfaceName: LinkName | None = None
    Gateway: str = ""
    GatewayIPv6: str = ""
    StaticRoutes: tuple[StaticRoute, ...] = ()


class PublishedPort(Struct):
    """A port that is to be reached from outside; zeros and empty: the driver's choice."""

    Proto: int
    """The protocol's number (IANA)."""
    Port: int
    HostIP: str = ""
    HostPort: int = 0
    HostPortEnd: int = 0


class Publication(Struct):
    """What of an endpoint is to be reached from outside."""

    NetworkID: str
    EndpointID: str
    Options: Mapping[str, tuple[PublishedPort, ...]]


# -- addresses -------------------------------------------------------------------------------


class IpamAnswer(Answer):
    """What every answer of an IPAM plugin has."""

    Error: str | None = None


class IpamCapabilities(IpamAnswer):
    """What the plugin must be told."""

    RequiresMACAddress: bool = False


class AddressSpaces(IpamAnswer):
    """The plugin's names for where subnets are apart from each other."""

    LocalDefaultAddressSpace: str = ""


class PoolRequest(Struct):
    """A subnet that is wanted; empty: any."""

    AddressSpace: str
    Pool: str
    SubPool: str
    Options: Mapping[str, str]
    V6: bool


class PoolGiven(IpamAnswer):
    """A subnet, and what the plugin calls it."""

    PoolID: str = ""
    Pool: str = ""
    Data: Mapping[str, str] | None = None


class PoolNamed(Struct):
    """About a subnet."""

    PoolID: str


class AddressRequest(Struct):
    """An address that is wanted; empty: any."""

    PoolID: str
    Address: str
    Options: Mapping[str, str] = {}


class AddressGiven(IpamAnswer):
    """An address, with the prefix length of its subnet."""

    Address: str = ""


class AddressNamed(Struct):
    """About an address."""

    PoolID: str
    Address: str
