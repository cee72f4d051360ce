"""The bridge driver: a Linux bridge for each network, and a veth pair for each container on it.

Theory of operation. Containers are ports of a bridge that has the gateway's addresses. What may
pass hangs on the bridge's name and its subnets (`networks.packets.packet_table`), never on a known
endpoint, so whatever else is put on the bridge by hand has connectivity too.

Neighbours on one bridge meet without the packet filter. Where they must not (`enable_icc=false`)
each is an isolated port: the kernel passes frames between it and the bridge alone.

Containers and the host know each other's addresses without asking, so a neighbour that claims
one of them takes nothing of what goes between a container and its host, and through it the world
(RELIABILITY N04). What neighbours send each other is between them.
"""

import re
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)

from wherry.kit.values import dataclass
from wherry.model.networks import AddressRange, EndpointStatus
from wherry.networks.drivers.inside import EndpointPlan
from wherry.operations.network.links import (
    AllowHairpin,
    AssignAddress,
    BringUp,
    CreateBridge,
    CreateVethPair,
    IsolatePort,
)
from wherry.operations.network.neighbours import PinGateway, PinNeighbour
from wherry.operations.network.port_entries import PublishPorts
from wherry.operations.plan import Operation, Plan
from wherry.operations.processes.sysctls import SetSysctl

_IPV6_LEAST_MTU = 1280
"""A link with less has no IPv6 at all, nor sysctls of it (RFC 8200, addrconf_notify)."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
"""IFNAMSIZ is 16 with its zero byte; these letters also mean nothing to nft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSettings:
    """A bridge as it is to be."""

    name: str
    ranges: tuple[AddressRange, ...]
    alias: str
    """Says whose the bridge is, where we make it."""
    table: str
    """This engine's table of the packet filter."""
    mtu: int = 0
    """Zero: the kernel's 1500."""
    may_meet: bool = True
    """Whether its containers may talk to each other (`enable_icc`)."""
    masqueraded: frozenset[int] = frozenset({4, 6})
    """The versions of IP in which what leaves has the host's address (`enable_ip_masquerade`,
    and the gateway modes nat and nat-unprotected)."""
    is_internal: bool = False
    open: frozenset[int] = frozenset()
    """The versions in which other hosts may reach any port of its containers (gateway mode
    nat-unprotected)."""
    routed: frozenset[int] = frozenset()
    """The versions in which other hosts reach published ports at the containers' own addresses
    and no host port leads there (gateway mode routed)."""
    sources: tuple[str, ...] = ()
    """Addresses of the host that what leaves has, instead of those of the link that it leaves
    by (`com.docker.network.host_ipv4`)."""
    trusted: tuple[str, ...] = ()
    """Links of the host by which published ports are reached at containers' own addresses
    (`trusted_host_interfaces`)."""
    unaddressed: frozenset[int] = frozenset()
    """The versions in which the gateway's address is not the bridge's (`inhibit_ipv4`)."""
    outward: tuple[str, ...] = ()
    """Where containers' default routes lead, one for a version; without: to the gateway."""
    interface_prefix: str = "eth"
    host_addresses: tuple[str, ...] = ()
    """Where ports without an address are published; a version without one: everywhere."""
    allows_direct_routing: bool = False
    """Whether other hosts reach published ports at containers' own addresses."""
    forwards: bool = True
    """Whether the host is told to forward packets."""
    is_filtered: bool = True
    """Whether the packet filter knows it, and leads ports to its containers."""
    sealed_port: int = 0
    """The UDP port that its tunnel's datagrams come to, which none may reach in the clear; zero:
    it has no tunnel, or one in the clear."""
    why_made: str = "containers of a network are ports of a bridge"

    @property
    def gateways(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """The bridge's own addresses."""
        return tuple(
            ip_interface(f"{each.gateway}/{ip_network(each.subnet).prefixlen}")
            for each in self.ranges
            if each.gateway and each.version not in self.unaddressed
        )

    @property
    def ways_out(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """Where containers' default routes lead; nowhere from an internal network."""
        if self.is_internal:
            return ()
        named = {":" in each: each for each in self.outward}
        return tuple(
            ip_address(named.get(each.is_ipv6, each.gateway))
            for each in self.ranges
            if each.gateway
        )

    @property
    def direct(self) -> frozenset[int]:
        """The versions in which published ports are at its containers' own addresses alone."""
        return self.routed & {each.version for each in self.ranges}

    def filtered(self, endpoint: EndpointStatus) -> frozenset[int]:
        """The versions in which the packet filter leads ports of the host to an endpoint."""
        own = ((4, endpoint.address), (6, endpoint.ipv6_address))
        return frozenset(version for version, has in own if has and self.is_filtered)

    @property
    def unled(self) -> frozenset[int]:
        """The versions in which no port of the host leads to its containers."""
        # What arrives by IPv6 is relayed to the IPv4 address of a container that has no other.
        is_relayed = 4 in self.routed and not self.has_ipv6
        return self.routed | ({6} if is_relayed else set())

    @property
    def why_open(self) -> str:
        """Why ports are reached at containers' own addresses; empty: they are not."""
        if self.routed:
            return "com.docker.network.bridge.gateway_mode_ipv4 or _ipv6=routed"
        if self.trusted:
            return "com.docker.network.bridge.trusted_host_interfaces"
        return "--allow-direct-routing" if self.allows_direct_routing else ""

    @property
    def is_ipv6_gateway(self) -> bool:
        """Whether it has an IPv6 address of its own."""
        return any(each.version == 6 for each in self.gateways)

    @property
    def has_ipv6(self) -> bool:
        """Whether it has an IPv6 subnet."""
        return any(each.is_ipv6 for each in self.ranges)


def is_valid_name(name: str) -> bool:
    """Whether a link may be called so (dev_valid_name in the kernel, and narrower)."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


def bridge_plan(
    settings: BridgeSettings,
    *,
    exists: bool,
    missing: tuple[IPv4Interface | IPv6Interface, ...],
    has_ipv6: bool,
) -> Plan:
    """What is missing of a bridge; the rest of the plan changes nothing when done again.

    `has_ipv6` is the host's.
    """
    name = settings.name
    plan: list[Operation] = []
    if not exists:
        plan.append(
            CreateBridge(
                why=settings.why_made,
                name=name,
                mac_address=_mac_address(settings),
                alias=settings.alias,
                mtu=settings.mtu,
            )
        )
    if has_ipv6 and not 0 < settings.mtu < _IPV6_LEAST_MTU:
        plan += _ipv6_switches(settings)
    plan += (
        AssignAddress(
            why="the bridge is its containers' gateway", interface=name, address=str(each)
        )
        for each in missing
    )
    if settings.forwards:
        plan += _forwarding(settings)
    if settings.is_filtered:  # which also keeps others' packets for 127.0.0.1 out
        plan.append(
            SetSysctl(
                why="a port published on 127.0.0.1 leads over the bridge",
                name=f"net/ipv4/conf/{name}/route_localnet",
                value="1",
            )
        )
    plan.append(BringUp(why="the bridge carries traffic", interface=name))
    return tuple(plan)


def _ipv6_switches(settings: BridgeSettings) -> Plan:
    is_gateway = settings.is_ipv6_gateway
    return (
        SetSysctl(
            why="a container must not change the host's routes by router advertisements",
            name=f"net/ipv6/conf/{settings.name}/accept_ra",
            value="0",
        ),
        SetSysctl(
            why=f"the bridge is {'a' if is_gateway else 'no'} gateway of IPv6",
            name=f"net/ipv6/conf/{settings.name}/disable_ipv6",
            value="0" if is_gateway else "1",
        ),
    )


def _forwarding(settings: BridgeSettings) -> Plan:
    switches = ["net/ipv4/ip_forward"]
    if settings.has_ipv6:
        switches.append("net/ipv6/conf/all/forwarding")
    return tuple(
        SetSysctl(why="the host forwards between containers and the world", name=each, value="1")
        for each in switches
    )


def link_plan(settings: BridgeSettings, endpoint: EndpointPlan) -> Plan:
    """Join a namespace that exists to the bridge; the link inside has no address yet."""
    plan: list[Operation] = [
        CreateVethPair(
            why=endpoint.why,
            name=endpoint.host_interface,
            bridge=settings.name,
            peer_name=endpoint.interface,
            peer_mac_address=endpoint.mac_address,
            namespace=endpoint.namespace_path,
            mtu=settings.mtu,
        ),
        AllowHairpin(
            why="a container reaches itself through its own published port",
            interface=endpoint.host_interface,
        ),
    ]
    if not settings.may_meet:
        plan.append(
            IsolatePort(why="com.docker.network.bridge.enable_icc=false",
                        interface=endpoint.host_interface)
        )  # fmt: skip
    plan.append(BringUp(why="the host's end carries traffic", interface=endpoint.host_interface))
    addresses = tuple(str(each.ip) for each in endpoint.addresses)
    plan.append(_pinned(settings, endpoint.mac_address, addresses, port=endpoint.host_interface))
    return tuple(plan)


def pinned(settings: BridgeSettings, endpoint: EndpointStatus) -> PinNeighbour:
    """Whom the host knows by the addresses of an endpoint that has been joined."""
    addresses = tuple(filter(None, (endpoint.address, endpoint.ipv6_address)))
    return _pinned(settings, endpoint.mac_address, addresses, port="")


def gateway_plan(settings: BridgeSettings, endpoint: EndpointStatus, namespace: str) -> Plan:
    """Who the gateways are that are the bridge itself."""
    own = {str(each.ip) for each in settings.gateways}
    wanted = (endpoint.gateway, endpoint.ipv6_gateway)
    gateways = tuple(each for each in wanted if each in own)
    pin = PinGateway(
        why="a neighbour that claims to be the gateway gets nothing of what the container sends",
        bridge=settings.name,
        alias=settings.alias,
        interface=endpoint.interface,
        gateways=gateways,
        namespace=namespace,
    )
    return (pin,) if gateways else ()


def _pinned(
    settings: BridgeSettings, mac_address: str, addresses: tuple[str, ...], *, port: str
) -> PinNeighbour:
    spoken = {each.version for each in settings.gateways}
    return PinNeighbour(
        why="a neighbour that claims the address gets nothing of what the host sends to it",
        bridge=settings.name,
        port=port,
        mac_address=mac_address,
        addresses=tuple(each for each in addresses if ip_address(each).version in spoken),
    )


def publish(
    table: str, *, target: str, target6: str = "", ports: tuple[tuple[str, str, int, int], ...]
) -> PublishPorts:
    """Lead an endpoint's host ports to it."""
    return PublishPorts(why="--publish", table=table, target=target, target6=target6, ports=ports)


def _mac_address(settings: BridgeSettings) -> str:
    """The bridge's own: it follows from its first address, or from its name without one."""
    if settings.gateways:
        return "02:42:" + settings.gateways[0].ip.packed[-4:].hex(":")
    subnet = ip_network(settings.ranges[0].subnet) if settings.ranges else None
    packed = subnet[0].packed if subnet is not None else ip_address("0.0.0.0").packed
    return "02:42:" + packed[-4:].hex(":")
