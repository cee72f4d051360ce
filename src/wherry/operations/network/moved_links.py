"""A link that somebody else made, moved into a container's namespace and back; and its routes."""

import errno
import os
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import network_links
from wherry.operations.network import inside
from wherry.operations.network.links import (
    CONTAINER_NETLINK,
    NAMESPACE,
    route_of,
    tolerating,
)
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLink(Operation):
    """Move a link of the host into a namespace, where it has another name."""

    kind: ClassVar[str] = "move-link"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    link: str
    """Its name on the host."""
    name: str
    """Its name inside."""
    mac_address: str = ""
    """Empty: it keeps its own."""
    namespace: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            index = network_links.link_index(route, self.link)
            network_links.move_link(
                route,
                index,
                name=self.name,
                namespace=hands.get(NAMESPACE),
                mac_address=self.mac_address,
            )
        return {"ifindex": index}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if not hands.holds(CONTAINER_NETLINK):
            return  # the namespace has ended; whoever made the link has to look after it
        # This process is in the host's namespace.
        host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with route_of(hands, self.namespace) as route, tolerating(errno.ENODEV):
                index = network_links.link_index(route, self.name)
                network_links.move_link(route, index, name=self.link, namespace=host)
        finally:
            os.close(host)

    def check(self, evidence: Evidence) -> Finding:
        return inside.link_finding(evidence, self.namespace, self.name)

    def describe(self) -> str:
        return f"move {self.link} inside as {self.name}"

    def shell(self) -> str:
        mac = f" address {self.mac_address}" if self.mac_address else ""
        return f"ip link set {self.link} netns {self.namespace} name {self.name}{mac}"
