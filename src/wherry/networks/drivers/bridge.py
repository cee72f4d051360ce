"""The bridge driver: a Linux bridge, veth pairs, and one table of the packet filter.

Theory of operation. Containers are ports of a bridge that has the gateway's address. Every
rule hangs on the bridge's name and its subnet, never on a known endpoint, so whatever else is
put on the bridge by hand has connectivity too. Published ports are elements of four maps:

    host port -> container . port                     published on every address
    host address . host port -> container . port      published on one address

    martians     (raw)      packets for 127.0.0.0/8 that don't come from lo are dropped: the
                            bridge has route_localnet, and a neighbour could otherwise reach
                            what is published on loopback only
    prerouting   (dstnat)   from outside and from containers: to a local address -> published
    output       (dstnat)   from the host itself: the same
    published               the maps
    forward      (filter)   into the bridge: answers, its own containers, published ports; the
                            rest is dropped. Out of the bridge and elsewhere: not our business
    postrouting  (srcnat)   the subnet leaving by another link is masqueraded; so is what comes
                            back to the bridge with a source that the container could not
                            answer through the host: loopback, or the subnet itself (hairpin)
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Interface

from wherry.operations.links import (
    AddDefaultRoute,
    AllowHairpin,
    AssignAddress,
    BringUp,
    CreateBridge,
    CreateVethPair,
)
from wherry.operations.packet_filter import MAPS, InstallTable, PublishPorts
from wherry.operations.plan import Operation, Plan
from wherry.operations.sysctls import SetSysctl

INTERFACE = "eth0"
"""What a container's first interface is called inside."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
"""IFNAMSIZ is 16 with its zero byte; these letters also mean nothing to nft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSettings:
    """A bridge, its address, and the table that belongs to it."""

    name: str
    address: IPv4Interface
    alias: str
    """Says whose the bridge is, where we make it."""

    @property
    def table(self) -> str:
        """Each engine has a bridge of its own, and so a table of its own."""
        return f"wherry-{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """What a container on the bridge gets."""

    namespace_path: str
    host_interface: str
    address: IPv4Interface
    mac_address: str
    ports: tuple[tuple[str, str, int, int], ...]
    """Protocol, host address (empty: any), host port, container's port."""


def is_valid_name(name: str) -> bool:
    """Whether a link may be called so (dev_valid_name in the kernel, and narrower)."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


def bridge_plan(
    settings: BridgeSettings, *, exists: bool, has_address: bool, has_ipv6: bool
) -> Plan:
    """What is missing of a bridge; the rest of the plan changes nothing when done again."""
    name = settings.name
    plan: list[Operation] = []
    if not exists:
        plan.append(
            CreateBridge(
                why="containers of the default network are ports of a bridge",
                name=name,
                mac_address="02:42:" + settings.address.ip.packed.hex(":"),
                alias=settings.alias,
            )
        )
    if not has_address:
        plan.append(
            AssignAddress(
                why="the bridge is its containers' gateway",
                interface=name,
                address=str(settings.address),
            )
        )
    plan.append(
        SetSysctl(
            why="the host forwards between containers and the world",
            name="net/ipv4/ip_forward",
            value="1",
        )
    )
    plan.append(
        SetSysctl(
            why="a port published on 127.0.0.1 leads over the bridge",
            name=f"net/ipv4/conf/{name}/route_localnet",
            value="1",
        )
    )
    if has_ipv6:
        plan += (
            SetSysctl(
                why="a container must not change the host's routes by router advertisements",
                name=f"net/ipv6/conf/{name}/accept_ra",
                value="0",
            ),
            SetSysctl(
                why="the default network has no IPv6",
                name=f"net/ipv6/conf/{name}/disable_ipv6",
                value="1",
            ),
        )
    plan.append(BringUp(why="the bridge carries traffic", interface=name))
    plan.append(
        InstallTable(
            why="published ports, masquerading, and no way in for anything else",
            table=settings.table,
            commands=table_commands(settings),
        )
    )
    return tuple(plan)


def endpoint_plan(settings: BridgeSettings, endpoint: EndpointPlan) -> Plan:
    """Connect a namespace that exists to the bridge and publish its ports."""
    inside = endpoint.namespace_path
    plan: list[Operation] = [
        loopback_up(inside),
        CreateVethPair(
            why="--network bridge, the default",
            name=endpoint.host_interface,
            bridge=settings.name,
            peer_name=INTERFACE,
            peer_mac_address=endpoint.mac_address,
            namespace=inside,
        ),
        AllowHairpin(
            why="a container reaches itself through its own published port",
            interface=endpoint.host_interface,
        ),
        BringUp(why="the host's end carries traffic", interface=endpoint.host_interface),
        AssignAddress(
            why=f"the next free address of {settings.address.network}",
            interface=INTERFACE,
            address=str(endpoint.address),
            namespace=inside,
        ),
        BringUp(why="the container's end carries traffic", interface=INTERFACE, namespace=inside),
        AddDefaultRoute(
            why="the world beyond the subnet is reached through the bridge",
            gateway=str(settings.address.ip),
            namespace=inside,
        ),
    ]
    if endpoint.ports:
        plan.append(publish(settings, endpoint))
    return tuple(plan)


def publish(settings: BridgeSettings, endpoint: EndpointPlan) -> PublishPorts:
    """Lead an endpoint's host ports to it."""
    return PublishPorts(
        why="--publish",
        table=settings.table,
        target=str(endpoint.address.ip),
        ports=endpoint.ports,
    )


def loopback_up(namespace_path: str) -> BringUp:
    """A new network namespace has a loopback link that is down."""
    return BringUp(
        why="programs expect 127.0.0.1 to work", interface="lo", namespace=namespace_path
    )


def table_commands(settings: BridgeSettings) -> str:
    """nft commands that make the table or replace its chains; elements of the maps stay."""
    table, bridge, subnet = settings.table, settings.name, settings.address.network
    rules = {
        "martians": ('iifname != "lo" ip daddr 127.0.0.0/8 drop',),
        "published": (
            "dnat ip to ip daddr . tcp dport map @tcp-addressed",
            "dnat ip to ip daddr . udp dport map @udp-addressed",
            "meta nfproto ipv4 dnat ip to tcp dport map @tcp-anywhere",
            "meta nfproto ipv4 dnat ip to udp dport map @udp-anywhere",
        ),
        "prerouting": ("meta nfproto ipv4 fib daddr type local jump published",),
        "output": ("meta nfproto ipv4 fib daddr type local jump published",),
        "inward": (
            "ct state established,related accept",
            f'iifname "{bridge}" accept',
            "ct status dnat accept",
            "drop",
        ),
        "forward": (f'oifname "{bridge}" jump inward',),
        "postrouting": (
            f'ip saddr {subnet} oifname != "{bridge}" masquerade',
            f'oifname "{bridge}" ct status dnat ip saddr {{ 127.0.0.0/8, {subnet} }} masquerade',
        ),
    }
    lines = [f"add table inet {table}"]
    for name in MAPS:
        key = "inet_service" if name.endswith("-anywhere") else "ipv4_addr . inet_service"
        lines.append(f"add map inet {table} {name} {{ type {key} : ipv4_addr . inet_service ; }}")
    for chain in rules:
        hook = _HOOKS.get(chain)
        declared = f" {{ type {hook} ; policy accept ; }}" if hook else ""
        lines.append(f"add chain inet {table} {chain}{declared}")
        lines.append(f"flush chain inet {table} {chain}")
    lines += [f"add rule inet {table} {chain} {rule}" for chain in rules for rule in rules[chain]]
    return "\n".join(lines) + "\n"


_HOOKS = {
    "martians": "filter hook prerouting priority raw",
    "prerouting": "nat hook prerouting priority dstnat",
    "output": "nat hook output priority -100",
    "forward": "filter hook forward priority filter",
    "postrouting": "nat hook postrouting priority srcnat",
}
