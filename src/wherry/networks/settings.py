"""What the operator decided about networks: the daemon's flags of the same names."""

from collections.abc import Mapping

from wherry.kit.values import dataclass, field
from wherry.networks.addresses.pools import Subnet


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Decided once, at the daemon's start; most of it is about the default bridge."""

    bridge: str = ""
    """Empty: docker0, or wherry0 where that name is taken; `none`: no default bridge."""
    bip: str = ""
    """The bridge's address with its prefix length; empty: 172.17.0.1/16, or the first of the
    next of the pools that the host has no route into."""
    bip6: str = ""
    fixed_cidr: str = ""
    """The part of the bridge's subnet that containers get addresses from; empty: all of it.
    Without `bip` it is the subnet."""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    """Where containers' default route leads; empty: to the bridge."""
    default_gateway_v6: str = ""
    has_ipv6: bool = False
    may_meet: bool = True
    """`--icc`."""
    is_masqueraded: bool = True
    """`--ip-masq`."""
    host_address: str = ""
    """Where ports without an address are published; empty: everywhere (`--ip`)."""
    mtu: int = 0
    """Zero: the kernel's 1500."""
    pools: tuple[tuple[Subnet, int], ...] = ()
    """Where networks without a subnet are, each with the prefix length of the subnets that are
    cut from it; empty: Docker's."""
    forwards: bool = True
    """Whether the engine may make the host forward packets (`--ip-forward`)."""
    filters: bool = True
    """Whether the engine has a table of the packet filter. Without it nothing is kept apart or
    masqueraded, and netd relays what is published (`--iptables`, `--ip6tables`)."""
    allows_direct_routing: bool = False
    """Whether other hosts may reach published ports at containers' own addresses."""
    accepted_mark: str = ""
    """`MARK/MASK` of packets that may enter any bridge of ours; empty: none are marked so
    (`--bridge-accept-fwmark`)."""
    driver_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What new networks of a driver have unless they say otherwise (`--default-network-opt`)."""
