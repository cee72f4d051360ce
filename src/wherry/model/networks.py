"""Networks, endpoints and published ports."""

from collections.abc import Mapping
from enum import Enum

from wherry.kit.values import dataclass, field
from wherry.model.ids import EndpointId, NetworkId


class Protocol(Enum):
    """Transport protocols of a port."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


@dataclass(frozen=True, slots=True)
class Port:
    """A port inside a container; written `80/tcp`."""

    number: int
    protocol: str = "tcp"

    def __lt__(self, other: "Port") -> bool:
        return (self.number, self.protocol) < (other.number, other.protocol)

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
    """Zero: none; other hosts reach the port at the container's own address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRemoval:
    """What is to be published no longer; what it leaves open fits everything."""

    host_port: int
    host_address: str = ""
    port: Port | None = None
    protocol: str = "tcp"

    def fits(self, host_address: str, host_port: int, port: Port) -> bool:
        """Whether it means a published port, or a wish for one."""
        return (
            host_port == self.host_port
            and port.protocol == self.protocol
            and self.host_address in ("", host_address)
            and self.port in (None, port)
        )


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
class EndpointWish:
    """How a container is to be connected to one network."""

    network: str
    """What the user typed: a name, an id, or the beginning of one."""
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """`container:alias`."""
    ipv4_address: str = ""
    """Empty: the next free one."""
    ipv6_address: str = ""
    link_local: tuple[str, ...] = ()
    """Addresses besides, which mean something on that link alone (RFC 3927, RFC 4291)."""
    mac_address: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)
    gateway_priority: int = 0
    """The highest leads to the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRange:
    """A subnet of a network, and how its addresses are given out."""

    subnet: str
    """In CIDR notation, of either family."""
    gateway: str = ""
    """An address of the subnet; empty: none."""
    allocated_from: str = ""
    """The part of the subnet that addresses are chosen from; empty: all of it."""
    reserved: Mapping[str, str] = field(default_factory=dict)
    """Addresses that are never given out, by the name that the user gave them."""
    pool_id: str = ""
    """What the IPAM plugin calls it; empty: the engine gives the addresses out itself."""
    is_chosen: bool = False
    """Whether the engine chose it from its pools; no user's address can be wished for then."""

    @property
    def is_ipv6(self) -> bool:
        """Whether it is an IPv6 subnet."""
        return ":" in self.subnet

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if self.is_ipv6 else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """A network that a user wants."""

    name: str
    driver: str = "bridge"
    ranges: tuple[AddressRange, ...] = ()
    """Subnets that were named; a family without one gets one from the pools."""
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    has_ipv4: bool | None = None
    """None: nothing was said."""
    has_ipv6: bool | None = None
    is_internal: bool = False
    is_attachable: bool = False
    is_configuration: bool = False
    """A template for others, never a network itself (`--config-only`)."""
    configured_by: str = ""
    """The template (`--config-from`)."""
    is_ingress: bool = False
    scope: str = "local"
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The record of a network."""

    id: NetworkId
    name: str
    driver: str
    created_at_ns: int
    ranges: tuple[AddressRange, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    has_ipv4: bool = True
    has_ipv6: bool = False
    is_internal: bool = False
    is_attachable: bool = False
    is_configuration: bool = False
    configured_by: str = ""
    scope: str = "local"
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] | None = None
    is_builtin: bool = False
    """bridge, host and none: made by the engine, never removed."""

    @property
    def subnet(self) -> str:
        """The first IPv4 subnet; empty where there is none."""
        return next((each.subnet for each in self.ranges if not each.is_ipv6), "")

    @property
    def gateway(self) -> str:
        """The gateway of the first IPv4 subnet; empty where there is none."""
        return next((each.gateway for each in self.ranges if not each.is_ipv6), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """A container on a network. Empty addresses: not connected at present."""

    endpoint_id: EndpointId
    network_id: NetworkId
    network_name: str
    address: str = ""
    prefix_length: int = 0
    gateway: str = ""
    ipv6_address: str = ""
    ipv6_prefix_length: int = 0
    ipv6_gateway: str = ""
    link_local: tuple[str, ...] = ()
    """Addresses that it was told to have besides, on its link alone."""
    mac_address: str = ""
    interface: str = ""
    published: tuple[PublishedPort, ...] = ()
    names: tuple[str, ...] = ()
    """What others on the network may call it: its name, aliases and short id."""
    links: tuple[str, ...] = ()
    """What it may call others there, and nobody else may: `container:alias`."""
    is_way_out: bool = False
    """Whether the container's default route leads through it, and its published ports lead to it.

    The route of IPv4, unless the container has that of IPv6 alone.
    """
    is_ipv6_way_out: bool = False
    """Whether the default route of IPv6 leads through it."""
    is_routed_by_link: bool = False
    """Whether it needs no gateway to be that (ipvlan in mode l3)."""
    link: str = ""
    """The link that a plugin made for it, by its name on the host; empty: it is ours."""

    def can_lead_out(self, version: int) -> bool:
        """Whether the container's default route of a version of IP can lead through it."""
        if self.is_routed_by_link:
            return bool(self.address if version == 4 else self.ipv6_address)
        return bool(self.gateway if version == 4 else self.ipv6_gateway)

    @property
    def is_connected(self) -> bool:
        """Whether it has an address now, or a link whose addresses are its plugin's affair."""
        return bool(self.address or self.ipv6_address or self.interface)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayPlace:
    """Where a network that spans hosts is, as this host sees it."""

    vni: int
    """Its number on the wire, the same on every host."""
    local: str
    """The address of this host that the others send to."""


@dataclass(frozen=True, slots=True)
class OverlayKey:
    """What the hosts of encrypted networks share; two are there while it is changed."""

    tag: int
    """Its number, the same on every host: none is used twice."""
    secret: bytes = field(repr=False)
    """32 bytes of chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A container of a network that spans hosts, on another of them."""

    addresses: tuple[str, ...]
    """Of both versions."""
    mac_address: str
    host: str
    """The address of its host that frames are sent to."""
