"""Networks: requests and answers."""

from msgspec import UNSET, Struct, UnsetType

from wherry.wire.container_config import EndpointSettings


class IpamPool(Struct):
    """A subnet that addresses come from."""

    Subnet: str
    IPRange: str | UnsetType = UNSET
    Gateway: str | UnsetType = UNSET
    AuxiliaryAddresses: dict[str, str] | UnsetType = UNSET


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


# -- requests --------------------------------------------------------------------------------


class IpamPoolRequest(Struct, kw_only=True):
    """A subnet that a user names."""

    Subnet: str = ""
    IPRange: str = ""
    Gateway: str = ""
    AuxiliaryAddresses: dict[str, str] | None = None


class IpamRequest(Struct, kw_only=True):
    """How a network's addresses are to be given out."""

    Driver: str = "default"
    Options: dict[str, str] | None = None
    Config: list[IpamPoolRequest] | None = None


class NetworkCreateRequest(Struct, kw_only=True):
    """`POST /networks/create`."""

    Name: str = ""
    CheckDuplicate: bool = True
    Driver: str = ""
    Scope: str = ""
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    ConfigOnly: bool = False
    ConfigFrom: ConfigReference | None = None
    IPAM: IpamRequest | None = None
    EnableIPv4: bool | None = None
    EnableIPv6: bool | None = None
    Options: dict[str, str] | None = None
    Labels: dict[str, str] | None = None


class NetworkCreateAnswer(Struct):
    """A network was made."""

    Id: str
    Warning: str = ""


class ConnectRequest(Struct, kw_only=True):
    """`POST /networks/{id}/connect`."""

    Container: str = ""
    EndpointConfig: EndpointSettings | None = None


class DisconnectRequest(Struct, kw_only=True):
    """`POST /networks/{id}/disconnect`."""

    Container: str = ""
    Force: bool = False
