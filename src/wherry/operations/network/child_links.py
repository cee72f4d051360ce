"""Ports of a link of the host that belong to containers, and the links that carry such ports.

A macvlan or ipvlan port has no end on the host: it is born in the container's namespace, and
goes with it.
"""

import errno
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import network_links, virtual_links
from wherry.operations.network import inside
from wherry.operations.network.links import (
    CONTAINER_NETLINK,
    NAMESPACE,
    OwnLink,
    route_of,
    tolerating,
)
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation

GROUP = 0x7768
"""Of the links of containers that an engine made and that have no end on the host: nobody else
says so of a link, and it is said in the message that makes it."""

MACVLAN_MODES = frozenset(virtual_links.MACVLAN_MODES)
IPVLAN_MODES = frozenset(virtual_links.IPVLAN_MODES)
IPVLAN_FLAGS = frozenset(virtual_links.IPVLAN_FLAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateChildLink(Operation):
    """Give a namespace a port of a link of the host, without a bridge in between."""

    kind: ClassVar[str] = "create-child-link"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    driver: str
    """`macvlan` or `ipvlan`."""
    parent: str
    mode: str
    flag: str = ""
    """Of ipvlan alone."""
    name: str
    mac_address: str = ""
    """Of macvlan alone: an ipvlan port has its parent's."""
    namespace: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            parent = network_links.find_link(route, self.parent)
            if parent is None:
                raise OSError(
                    f"the requested parent interface {self.parent} was not found on the host"
                )
            if self.driver == "macvlan":
                virtual_links.create_macvlan(
                    route,
                    self.name,
                    parent=parent.index,
                    mode=self.mode,
                    mac_address=self.mac_address,
                    namespace=hands.get(NAMESPACE),
                    group=GROUP,
                )
            else:
                virtual_links.create_ipvlan(
                    route,
                    self.name,
                    parent=parent.index,
                    mode=self.mode,
                    flag=self.flag,
                    namespace=hands.get(NAMESPACE),
                    group=GROUP,
                )
        return {"parent": parent.index}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if not hands.holds(CONTAINER_NETLINK):
            return  # it goes with the namespace
        with route_of(hands, self.namespace) as route, tolerating(errno.ENODEV):
            network_links.delete_link(route, self.name)

    def check(self, evidence: Evidence) -> Finding:
        return inside.link_finding(evidence, self.namespace, self.name)

    def describe(self) -> str:
        return f"create the {self.driver} port {self.name} of {self.parent} inside"

    def shell(self) -> str:
        mac = f" address {self.mac_address}" if self.mac_address else ""
        flag = f" {self.flag}" if self.flag else ""
        return (
            f"ip link add {self.name} link {self.parent}{mac} netns {self.namespace} "
            f"group {GROUP} type {self.driver} mode {self.mode}{flag}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateParentLink(OwnLink):
    """Make the link that the ports of a network stand on: a VLAN of a link, or one of nothing."""

    kind: ClassVar[str] = "create-parent-link"

    carrier: str = ""
    """The link whose VLAN it is; empty: a dummy, which leads nowhere."""
    vlan_id: int = 0

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            if self.carrier:
                virtual_links.create_vlan(
                    route,
                    self.name,
                    parent=network_links.link_index(route, self.carrier),
                    vlan_id=self.vlan_id,
                    alias=self.alias,
                )
            else:
                virtual_links.create_dummy(route, self.name, alias=self.alias)
            return {"ifindex": network_links.link_index(route, self.name)}

    def describe(self) -> str:
        if self.carrier:
            return f"create {self.name}, VLAN {self.vlan_id} of {self.carrier}"
        return f"create {self.name}, which leads nowhere"

    def shell(self) -> str:
        kind = (
            f"link {self.carrier} name {self.name} type vlan id {self.vlan_id}"
            if self.carrier
            else f"{self.name} type dummy"
        )
        return f"ip link add {kind}; ip link set {self.name} alias {self.alias!r}"
