"""The engine's one table of the packet filter: its chains, and what a network adds to its sets.

The chains are the same whatever networks there are; a network is a few elements of sets, and a
published port an element of a map, so a packet's way costs the same with one network or a
thousand. Every change is one transaction: nothing is ever open in between.

    martians     (raw)      packets for 127.0.0.0/8 that don't come from lo are dropped: bridges
                            have route_localnet, and a neighbour could otherwise reach what is
                            published on loopback only
    prerouting   (dstnat)   from outside and from containers: to a local address -> published
    output       (dstnat)   from the host itself: the same
    published               the maps: host port -> container . port, on every or on one address
    forward      (filter)   the user's own rules; within a network: yes; from or to an internal
                            one: no; into a bridge of ours -> inward; the rest is not our business
    inward                  answers, published ports, networks that are open or routed, links of
                            the host that a network trusts; else nothing
    reachable               ports that may be reached at a container's own address
    postrouting  (srcnat)   subnets leaving our bridges are masqueraded, or have the source that
                            their network names; so is what comes back to a bridge with a source
                            that the container could not answer through the host: loopback, or
                            its own subnet (hairpin)
    passing                 only beside another engine's chain that drops: marks what may pass it
    sealed-in,   (filter)   only beside encrypted networks: what comes to their tunnels' port, or
    sealed-out              goes there, passes by ESP alone
    user                    made once, never touched again: rules of the operator live here
"""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.packets.foreign_filters import Barriers
from wherry.operations.network.foreign_filters import MARK
from wherry.operations.network.packet_filter import MAPS, AdmitNetwork

USER_CHAIN = "user"
_PASSING = "passing"
_GUARDS = {
    "sealed-in": ("filter hook input priority filter", "meta ipsec missing drop"),
    "sealed-out": ("filter hook output priority filter", "rt ipsec missing drop"),
}

_SETS = {
    "bridges": "type ifname",
    "within": "type ifname . ifname",
    "internal": "type ifname",
    "own4": "type ifname . ipv4_addr ; flags interval",
    "own6": "type ifname . ipv6_addr ; flags interval",
    "masqueraded4": "type ipv4_addr ; flags interval",
    "masqueraded6": "type ipv6_addr ; flags interval",
    "open4": "type ipv4_addr ; flags interval",
    "open6": "type ipv6_addr ; flags interval",
    "routed4": "type ipv4_addr ; flags interval",
    "routed6": "type ipv6_addr ; flags interval",
    "trusted": "type ifname . ifname",
}
_SOURCES = {
    "sources4": "type ipv4_addr : ipv4_addr ; flags interval",
    "sources6": "type ipv6_addr : ipv6_addr ; flags interval",
}
"""What a subnet's packets have as source when they leave."""
_REACHABLE = {
    "reachable4": "type ipv4_addr . inet_proto . inet_service",
    "reachable6": "type ipv6_addr . inet_proto . inet_service",
}
"""Filled by what containers publish, as the maps are."""

_HOOKS = {
    "martians": "filter hook prerouting priority raw",
    "prerouting": "nat hook prerouting priority dstnat",
    "output": "nat hook output priority -100",
    "forward": "filter hook forward priority filter",
    "postrouting": "nat hook postrouting priority srcnat",
}

_RULES = {
    "martians": ('iifname != "lo" ip daddr 127.0.0.0/8 drop',),
    "published": (
        "dnat ip to ip daddr . tcp dport map @tcp-addressed",
        "dnat ip to ip daddr . udp dport map @udp-addressed",
        "dnat ip to ip daddr . sctp dport map @sctp-addressed",
        "meta nfproto ipv4 dnat ip to tcp dport map @tcp-anywhere",
        "meta nfproto ipv4 dnat ip to udp dport map @udp-anywhere",
        "meta nfproto ipv4 dnat ip to sctp dport map @sctp-anywhere",
        "dnat ip6 to ip6 daddr . tcp dport map @tcp6-addressed",
        "dnat ip6 to ip6 daddr . udp dport map @udp6-addressed",
        "dnat ip6 to ip6 daddr . sctp dport map @sctp6-addressed",
        "meta nfproto ipv6 dnat ip6 to tcp dport map @tcp6-anywhere",
        "meta nfproto ipv6 dnat ip6 to udp dport map @udp6-anywhere",
        "meta nfproto ipv6 dnat ip6 to sctp dport map @sctp6-anywhere",
    ),
    "prerouting": ("fib daddr type local jump published",),
    # The kernel sends nothing from ::1 to another link: netd relays what is asked of it.
    "output": ("ip6 daddr ::1 accept", "fib daddr type local jump published"),
    "inward": (
        "ct state established,related accept",
        "ct status dnat accept",
        "ip daddr @open4 accept",
        "ip6 daddr @open6 accept",
        "ip daddr @routed4 jump routed",
        "ip6 daddr @routed6 jump routed",
        "iifname . oifname @trusted jump reachable",
        "drop",
    ),
    "routed": ("meta l4proto { icmp, ipv6-icmp } accept", "jump reachable"),
    "reachable": (
        "ip daddr . meta l4proto . th dport @reachable4 accept",
        "ip6 daddr . meta l4proto . th dport @reachable6 accept",
    ),
    "forward": (
        f"jump {USER_CHAIN}",
        "iifname . oifname @within accept",
        "iifname @internal drop",
        "oifname @internal drop",
        "oifname @bridges jump inward",
    ),
    "postrouting": (
        "oifname != @bridges snat ip to ip saddr map @sources4",
        "oifname != @bridges snat ip6 to ip6 saddr map @sources6",
        "ip saddr @masqueraded4 oifname != @bridges masquerade",
        "ip6 saddr @masqueraded6 oifname != @bridges masquerade",
        "oifname @bridges ct status dnat ip saddr 127.0.0.0/8 masquerade",
        "ct status dnat oifname . ip saddr @own4 masquerade",
        "ct status dnat oifname . ip6 saddr @own6 masquerade",
    ),
}


def table_commands(
    table: str,
    networks: Iterable[BridgeSettings],
    *,
    allows_direct_routing: bool = False,
    accepted_mark: str = "",
    barriers: Barriers | None = None,
) -> str:
    """nft commands that make the table or replace its chains and sets.

    Ports that are published stay, and so does the user's chain. With `allows_direct_routing`
    every published port is reached at its container's address too. Packets with `accepted_mark`
    (`MARK/MASK`) enter every bridge but internal ones: whoever marks them has decided. Beside
    `barriers`, packets are marked that a door in one is to let pass.
    """
    lines = [f"add table inet {table}"]
    for name in MAPS:
        address = "ipv6_addr" if "6-" in name else "ipv4_addr"
        key = "inet_service" if name.endswith("-anywhere") else f"{address} . inet_service"
        lines.append(f"add map inet {table} {name} {{ type {key} : {address} . inet_service ; }}")
    for name, declared in _REACHABLE.items():
        lines.append(f"add set inet {table} {name} {{ {declared} ; }}")
    for kind, declarations in (("set", _SETS), ("map", _SOURCES)):
        for name, declared in declarations.items():
            lines.append(f"add {kind} inet {table} {name} {{ {declared} ; }}")
            lines.append(f"flush {kind} inet {table} {name}")
    lines.append(f"add chain inet {table} {USER_CHAIN}")
    for chain in _RULES:
        hook = _HOOKS.get(chain)
        declared = f" {{ type {hook} ; policy accept ; }}" if hook else ""
        lines.append(f"add chain inet {table} {chain}{declared}")
        lines.append(f"flush chain inet {table} {chain}")
    rules = {**_RULES}
    if accepted_mark:
        mark, _, mask = accepted_mark.partition("/")
        rules["inward"] = (f"meta mark & {mask} == {mark} accept", *rules["inward"])
    if allows_direct_routing:
        rules["inward"] = (*rules["inward"][:-1], "jump reachable", rules["inward"][-1])
    lines += [f"add rule inet {table} {chain} {rule}" for chain in rules for rule in rules[chain]]
    lines += _marking(table, barriers or Barriers())
    networks = tuple(networks)
    guarded = next((each.sealed_port for each in networks if each.sealed_port), 0)
    lines += guard_commands(table, guarded)
    lines += [
        f"add element inet {table} {name} {{ {element} }}"
        for settings in networks
        for name, element in elements(settings)
    ]
    return "\n".join(lines) + "\n"


def _marking(table: str, barriers: Barriers) -> Iterable[str]:
    """The chain that marks what our networks send and get, but for what others protect."""
    place = f"inet {table} {_PASSING}"
    hook = "type filter hook forward priority filter - 10 ; policy accept ;"
    yield f"add chain {place} {{ {hook} }}"
    yield f"flush chain {place}"
    if not barriers.doors:
        yield f"delete chain {place}"
        return
    marking = f"meta mark set meta mark | {MARK:#x}"
    yield f"add rule {place} oifname @bridges {marking}"
    kept = " ".join(f'oifname != "{each}"' for each in sorted(barriers.protected))
    yield f"add rule {place} iifname @bridges {kept} {marking}"


def guard_commands(table: str, port: int) -> Iterable[str]:
    """Chains that let UDP to a port pass only sealed, both ways; zero takes them away."""
    for chain, (hook, verdict) in _GUARDS.items():
        place = f"inet {table} {chain}"
        yield f"add chain {place} {{ type {hook} ; policy accept ; }}"
        yield f"flush chain {place}"
        yield f"add rule {place} udp dport {port} {verdict}" if port else f"delete chain {place}"


def admission(settings: BridgeSettings) -> AdmitNetwork:
    """The operation that tells the table of a network."""
    return AdmitNetwork(
        why="what may pass is decided by the bridge that it comes from and goes to",
        table=settings.table,
        elements=tuple(elements(settings)),
    )


def elements(settings: BridgeSettings) -> Iterable[tuple[str, str]]:
    """What a network adds to the sets."""
    name = f'"{settings.name}"'
    yield "bridges", name
    if settings.may_meet:
        yield "within", f"{name} . {name}"
    if settings.is_internal:
        yield "internal", name
    for link in settings.trusted:
        yield "trusted", f'"{link}" . {name}'
    sources = {ip_address(each).version: each for each in settings.sources}
    for each in settings.ranges:
        version, subnet = each.version, ip_network(each.subnet)
        yield f"own{version}", f"{name} . {subnet}"
        if version in settings.masqueraded and not settings.is_internal:
            yield f"masqueraded{version}", str(subnet)
            if version in sources:
                yield f"sources{version}", f"{subnet} : {sources[version]}"
        if version in settings.open:
            yield f"open{version}", str(subnet)
        if version in settings.routed:
            yield f"routed{version}", str(subnet)
