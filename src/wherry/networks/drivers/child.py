"""macvlan and ipvlan: containers are ports of a link of the host, on the host's own network.

Theory of operation. A port of a *parent* link is born in the container's namespace; frames go
between it and the parent's wire with no bridge and no packet filter of the host in between, so
nothing is published, masqueraded or forwarded, and host and containers don't reach each other.
Macvlan ports have MAC addresses of their own; ipvlan ports share their parent's.

    parent=eth1      the link as it is
    parent=eth1.10   VLAN 10 of eth1: made where it is missing, and removed with the last network
                     that stands on it
    no parent        a dummy, dm-ID or di-ID, that leads nowhere: containers have each other alone

In the modes l3 and l3s of ipvlan the parent routes: the default route is the link itself.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue
from wherry.model.networks import AddressRange, Network
from wherry.networks.drivers.bridge import is_valid_name
from wherry.networks.drivers.inside import EndpointPlan
from wherry.operations.network.child_links import (
    IPVLAN_FLAGS,
    IPVLAN_MODES,
    MACVLAN_MODES,
    CreateChildLink,
    CreateParentLink,
)
from wherry.operations.network.links import BringUp
from wherry.operations.plan import Plan

_DUMMY = {"macvlan": "dm-", "ipvlan": "di-"}
_ID_DIGITS = 12
_HIGHEST_VLAN = 4094
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSettings:
    """Where the ports of a network stand, and how they behave."""

    driver: str
    """`macvlan` or `ipvlan`."""
    parent: str
    carrier: str = ""
    """The link whose VLAN the parent is."""
    vlan_id: int = 0
    is_parentless: bool = False
    """Whether no parent was named, so that it is a dummy."""
    mode: str
    flag: str = ""
    ranges: tuple[AddressRange, ...]
    is_internal: bool
    alias: str
    """Says whose the parent is, where we make it."""
    why_made: str

    @property
    def routes_by_link(self) -> bool:
        """Whether containers have a default route with no gateway."""
        return self.mode in ("l3", "l3s") and not self.is_internal

    @property
    def ways_out(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """The gateways that the user named, where they are of use."""
        if self.is_internal or self.routes_by_link:
            return ()
        return tuple(ip_address(each.gateway) for each in self.ranges if each.gateway)

    @property
    def made_parent(self) -> CreateParentLink | None:
        """How the parent is made where it is missing; None: it is the host's own."""
        if not self.carrier and not self.is_parentless:
            return None
        return CreateParentLink(
            why=self.why_made,
            name=self.parent,
            alias=self.alias,
            carrier=self.carrier,
            vlan_id=self.vlan_id,
        )


def settings_of(network: Network, *, alias: str) -> ChildSettings:
    """The ports of a user's network, by its options. Raises: InvalidValue."""
    driver, options = network.driver, network.options
    parent = options.get("parent", "")
    if parent == "lo":
        raise InvalidValue(f"loopback interface is not a valid {driver} parent link")
    name = parent or f"{_DUMMY[driver]}{network.id[:_ID_DIGITS]}"
    if not is_valid_name(name):
        raise InvalidValue(
            f"invalid subinterface vlan name {parent}, example formatting is eth0.10"
        )
    carrier, vlan_id = _vlan(parent) if "." in parent else ("", 0)
    return ChildSettings(
        driver=driver,
        parent=name,
        carrier=carrier,
        vlan_id=vlan_id,
        is_parentless=not parent,
        mode=_mode(network),
        flag=_flag(network),
        ranges=network.ranges,
        is_internal=network.is_internal or not parent,
        alias=alias,
        why_made=f"docker network create -d {driver} {network.name}",
    )


def _mode(network: Network) -> str:
    driver = network.driver
    modes, default = (
        (MACVLAN_MODES, "bridge") if driver == "macvlan" else (IPVLAN_MODES, "l2")
    )  # fmt: skip
    mode = network.options.get(f"{driver}_mode") or default
    if mode not in modes:
        raise InvalidValue(
            f"requested {driver} mode '{mode}' is not valid, '{default}' mode is the {driver} "
            "driver default"
        )
    return mode


def _flag(network: Network) -> str:
    if network.driver != "ipvlan":
        return ""
    flag = network.options.get("ipvlan_flag") or "bridge"
    if flag not in IPVLAN_FLAGS:
        raise InvalidValue(
            f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
        )
    return flag


def _vlan(name: str) -> tuple[str, int]:
    """`eth0.10`: the link and the number of its VLAN. Raises: InvalidValue."""
    carrier, _, number = name.partition(".")
    if not carrier or "." in number:
        raise InvalidValue(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead "
            f"received {name}"
        )
    if not _NUMBER.fullmatch(number):
        raise InvalidValue(
            f"unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)"
        )
    if not 1 <= int(number) <= _HIGHEST_VLAN:
        raise InvalidValue(f"vlan id must be between 1-{_HIGHEST_VLAN}, received: {number}")
    return carrier, int(number)


def parent_plan(settings: ChildSettings) -> Plan:
    """Make the parent and switch it on."""
    made = settings.made_parent
    if made is None:
        return ()
    return (made, BringUp(why="its ports carry traffic", interface=settings.parent))


def link_plan(settings: ChildSettings, endpoint: EndpointPlan) -> Plan:
    """Give a namespace that exists a port of the parent; it has no address yet."""
    return (
        CreateChildLink(
            why=endpoint.why,
            driver=settings.driver,
            parent=settings.parent,
            mode=settings.mode,
            flag=settings.flag,
            name=endpoint.interface,
            mac_address=endpoint.mac_address if settings.driver == "macvlan" else "",
            namespace=endpoint.namespace_path,
        ),
    )
