"""Tunnels between hosts that carry the frames of a network (VXLAN, RFC 7348), and their peers."""

import errno
from ipaddress import ip_address
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import netlink, network_links, virtual_links
from wherry.linux.virtual_links import Forwarding, Neighbour
from wherry.operations.network.links import OwnLink, route_of, tolerating
from wherry.operations.plan import Aspect, Evidence, Finding, Hands, Operation, Verdict

_VERSIONS = (4, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTunnel(OwnLink):
    """Make a tunnel as a port of a bridge. It floods nothing: its table says who is where."""

    kind: ClassVar[str] = "create-tunnel"

    vni: int
    """The number of the network on the wire."""
    local: str
    """The host's address that other hosts send to."""
    port: int
    mtu: int
    bridge: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            virtual_links.create_vxlan(
                route,
                self.name,
                vni=self.vni,
                local=ip_address(self.local),
                port=self.port,
                mtu=self.mtu,
                alias=self.alias,
            )
            bridge = network_links.link_index(route, self.bridge)
            network_links.set_master(route, self.name, bridge)
            return {"ifindex": network_links.link_index(route, self.name), "master": bridge}

    def describe(self) -> str:
        return f"create the tunnel {self.name}, network {self.vni} at {self.local}"

    def shell(self) -> str:
        return (
            f"ip link add {self.name} mtu {self.mtu} type vxlan id {self.vni} local {self.local} "
            f"dstport {self.port} nolearning proxy; ip link set {self.name} master {self.bridge}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FillPeerTable(Operation):
    """Tell a tunnel who is behind it and on which host; whom it is not told of is not reached."""

    kind: ClassVar[str] = "fill-peer-table"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    tunnel: str
    peers: tuple[tuple[str, str, str], ...]
    """IP address, MAC address, address of the host."""

    def do(self, hands: Hands) -> Evidence:
        changes = 0
        with route_of(hands) as route:
            index = network_links.link_index(route, self.tunnel)
            present = set(virtual_links.forwardings(route, index))
            for gone in present - self._forwardings():
                with tolerating(errno.ENOENT):
                    virtual_links.delete_forwarding(route, index, gone)
                changes += 1
            for new in self._forwardings() - present:
                virtual_links.set_forwarding(route, index, new)
                changes += 1
            known = _neighbours(route, index)
            for left in known - self._neighbours():
                with tolerating(errno.ENOENT):
                    virtual_links.delete_neighbour(route, index, left)
                changes += 1
            for met in self._neighbours() - known:
                virtual_links.set_neighbour(route, index, met)
                changes += 1
        return {"changes": changes}

    def check(self, evidence: Evidence) -> Finding:
        with route_of(Hands()) as route:
            found = network_links.find_link(route, self.tunnel)
            if found is None:
                return Finding(Verdict.GONE, f"no link {self.tunnel}")
            same = set(virtual_links.forwardings(route, found.index)) == self._forwardings()
            same = same and _neighbours(route, found.index) == self._neighbours()
        verdict = Verdict.STILL_TRUE if same else Verdict.CHANGED
        return Finding(verdict, f"{len(self.peers)} peers of {self.tunnel}")

    def describe(self) -> str:
        return f"tell {self.tunnel} of {len(self.peers)} peers"

    def shell(self) -> str:
        lines = [
            f"bridge fdb replace {mac} dev {self.tunnel} dst {host} self permanent; "
            f"ip neighbour replace {address} lladdr {mac} dev {self.tunnel} nud permanent"
            for address, mac, host in self.peers
        ]
        return "; ".join(lines) or f"# {self.describe()}"

    def _forwardings(self) -> set[Forwarding]:
        return {Forwarding(mac_address=mac, host=host) for _address, mac, host in self.peers}

    def _neighbours(self) -> set[Neighbour]:
        return {Neighbour(address=address, mac_address=mac) for address, mac, _ in self.peers}


def _neighbours(route: netlink.NetlinkSocket, index: int) -> set[Neighbour]:
    return {
        each
        for version in _VERSIONS
        for each in virtual_links.neighbours(route, index, version=version)
    }
