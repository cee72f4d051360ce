"""Where packets of a namespace go: routes, and which of them leads to everything else."""

import errno
from ipaddress import ip_address, ip_network
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import addressing, network_links
from wherry.linux.netlink import NetlinkSocket
from wherry.operations.network import inside
from wherry.operations.network.links import CONTAINER_NETLINK, entering, route_of, tolerating
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRoute(Operation):
    """Send what goes to a subnet to a gateway, or out of a link with no gateway."""

    kind: ClassVar[str] = "add-route"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    destination: str
    """`0.0.0.0/0` or `::/0`: everything that has no better route."""
    gateway: str = ""
    interface: str
    namespace: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands, self.namespace) as route:
            addressing.add_route(
                route,
                ip_network(self.destination),
                gateway=ip_address(self.gateway) if self.gateway else None,
                index=network_links.link_index(route, self.interface),
            )
        return {}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if not hands.holds(CONTAINER_NETLINK):
            return  # it goes with the namespace
        with route_of(hands, self.namespace) as route, tolerating(errno.ESRCH, errno.ENODEV):
            index = network_links.link_index(route, self.interface)
            addressing.delete_route(route, ip_network(self.destination), index=index)

    def describe(self) -> str:
        by = f"via {self.gateway}" if self.gateway else f"out of {self.interface}"
        return f"route {self.destination} {by} inside"

    def shell(self) -> str:
        family = "-6 " if ":" in self.destination else ""
        via = f" via {self.gateway}" if self.gateway else ""
        return (
            f"{entering(self.namespace)}ip {family}route add {self.destination}{via} "
            f"dev {self.interface}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDefaultRoute(Operation):
    """Send everything that has no better route to a gateway."""

    kind: ClassVar[str] = "add-default-route"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    gateway: str
    namespace: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands, self.namespace) as route:
            addressing.add_default_route(route, ip_address(self.gateway))
        return {}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if not hands.holds(CONTAINER_NETLINK):
            return  # it goes with the namespace
        with route_of(hands, self.namespace) as route, tolerating(errno.ESRCH, errno.ENODEV):
            addressing.delete_default_route(route, ip_address(self.gateway))

    def check(self, evidence: Evidence) -> Finding:
        return inside.gateway_finding(evidence, self.namespace, ip_address(self.gateway))

    def describe(self) -> str:
        return f"route everything else via {self.gateway} inside"

    def shell(self) -> str:
        family = "-6 " if ":" in self.gateway else ""
        return f"{entering(self.namespace)}ip {family}route add default via {self.gateway}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDefaultRoute(Operation):
    """Have everything else leave another way: one message, with no moment without a route.

    A default route that is neither way is the container's own, and stays.
    """

    kind: ClassVar[str] = "turn-default-route"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    version: int
    """Of IP: 4 or 6."""
    old_gateway: str
    old_interface: str
    """Where the old route had no gateway; else empty."""
    gateway: str
    interface: str
    """Where the new route has no gateway; else empty."""
    namespace: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands, self.namespace) as route:
            return self._turn(route)

    def describe(self) -> str:
        return f"route everything else {self._by()} inside"

    def shell(self) -> str:
        family = "-6 " if self.version == 6 else ""
        return f"{entering(self.namespace)}ip {family}route replace default {self._by()}"

    def _by(self) -> str:
        return f"via {self.gateway}" if self.gateway else f"dev {self.interface}"

    def _turn(self, route: NetlinkSocket) -> Evidence:
        present = addressing.default_routes(route, version=self.version)
        if present and not any(self._is_old(each, route) for each in present):
            return {"turned": 0}
        addressing.replace_default_route(
            route,
            version=self.version,
            gateway=ip_address(self.gateway) if self.gateway else None,
            index=0 if self.gateway else network_links.link_index(route, self.interface),
        )
        return {"turned": 1}

    def _is_old(self, present: addressing.Way, route: NetlinkSocket) -> bool:
        if self.old_gateway:
            return present.gateway == ip_address(self.old_gateway)
        old = network_links.find_link(route, self.old_interface)
        return present.gateway is None and old is not None and present.link_index == old.index
