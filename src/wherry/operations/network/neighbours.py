"""Whose address is whose on a bridge: told to both ends, so that nobody else can claim it."""

import errno
from ipaddress import ip_address
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import network_links, virtual_links
from wherry.linux.virtual_links import Neighbour
from wherry.operations.network.links import entering, route_of, tolerating
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PinNeighbour(Operation):
    """Have what the host sends to a container go to its port, whatever others on the bridge say.

    The bridge's table binds the MAC address to the port, and the host's own table the addresses
    to the MAC address; neither learns another place for them.
    """

    kind: ClassVar[str] = "pin-neighbour"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    bridge: str
    port: str
    mac_address: str
    addresses: tuple[str, ...]
    """Of the container, in the versions of IP in which the host has one on the bridge."""

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            port = network_links.link_index(route, self.port)
            virtual_links.pin_mac_address(route, port, self.mac_address)
            if self.addresses:
                bridge = network_links.link_index(route, self.bridge)
                for each in self._neighbours():
                    virtual_links.set_neighbour(route, bridge, each)
        return {}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if not self.addresses:
            return
        with route_of(hands) as route, tolerating(errno.ENODEV):
            bridge = network_links.link_index(route, self.bridge)
            for each in self._neighbours():
                with tolerating(errno.ENOENT, errno.EINVAL):
                    virtual_links.delete_neighbour(route, bridge, each)

    def check(self, evidence: Evidence) -> Finding:
        with route_of(Hands()) as route:
            found = network_links.find_link(route, self.bridge)
            if found is None:
                return Finding(Verdict.GONE, f"no link {self.bridge}")
            seen = {
                each
                for version in {ip_address(each).version for each in self.addresses}
                for each in virtual_links.neighbours(route, found.index, version=version)
            }
        is_true = set(self._neighbours()) <= seen
        shown = f"{len(self.addresses)} lasting neighbours of {self.bridge}"
        return Finding(Verdict.STILL_TRUE if is_true else Verdict.CHANGED, shown)

    def describe(self) -> str:
        return f"{', '.join((*self.addresses, self.mac_address))} is at {self.port} alone"

    def shell(self) -> str:
        lines = [f"bridge fdb replace {self.mac_address} dev {self.port} master static sticky"]
        lines += [
            f"ip neighbour replace {address} lladdr {self.mac_address} dev {self.bridge} "
            "nud permanent"
            for address in self.addresses
        ]
        return "; ".join(lines)

    def _neighbours(self) -> tuple[Neighbour, ...]:
        return tuple(
            Neighbour(address=each, mac_address=self.mac_address) for each in self.addresses
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PinGateway(Operation):
    """Have what a container sends to its gateway go to the bridge, whatever its neighbours say."""

    kind: ClassVar[str] = "pin-gateway"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    bridge: str
    alias: str
    """Of a bridge of ours, whose MAC address does not change; another's is not relied upon."""
    interface: str
    gateways: tuple[str, ...]
    namespace: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            bridge = network_links.find_link(route, self.bridge)
        if bridge is None or bridge.alias != self.alias:
            return {"mac_address": ""}
        with route_of(hands, self.namespace) as route:
            index = network_links.link_index(route, self.interface)
            for each in self.gateways:
                known = Neighbour(address=each, mac_address=bridge.mac_address)
                virtual_links.set_neighbour(route, index, known)
        return {"mac_address": bridge.mac_address}

    def describe(self) -> str:
        return f"the gateway {', '.join(self.gateways)} is the bridge {self.bridge} alone"

    def shell(self) -> str:
        mac = f"$(cat /sys/class/net/{self.bridge}/address)"
        return "; ".join(
            f"{entering(self.namespace)}ip neighbour replace {each} lladdr {mac} "
            f"dev {self.interface} nud permanent"
            for each in self.gateways
        )
