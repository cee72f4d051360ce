"""The overlay driver: one network over several hosts, its frames in UDP datagrams (VXLAN).

Theory of operation. On each host the network is a bridge without an address, whose ports are the
containers there and one *tunnel*:

    container - veth - [bridge] - tunnel ==== UDP 4789 ==== tunnel - [bridge] - veth - container

The tunnel neither learns nor floods. It answers ARP and neighbour solicitations itself, out of a
table of *peers*: who has an address, with which MAC address, on which host. Whom the table does
not name is not reached, so a host hears of a network only what is meant for its containers. The
table is filled from outside (`Networks.set_peers`), by whoever knows the other hosts.

Networks are apart by their number on the wire (`vni`). The host is no neighbour of its
containers, and forwards nothing for them: an overlay is internal.

The datagrams of encrypted networks go to a port of their own (`networks.sealing`).
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue
from wherry.model.networks import Network, Peer
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.option_values import ENCRYPTED, LOCAL, MTU, VNI, flag, number
from wherry.operations.network.links import BringUp
from wherry.operations.network.tunnels import CreateTunnel, FillPeerTable
from wherry.operations.plan import Plan
from wherry.operations.processes.sysctls import SetSysctl

PORT = 4789
"""RFC 7348."""
SEALED_PORT = 14789
"""Where encrypted networks' datagrams go: nobody's, and not in the ephemeral range."""

_ID_DIGITS = 12
_HIGHEST_VNI = (1 << 24) - 1
_NUMBER = re.compile(r"[0-9]{1,8}")
_UNDERLAY_MTU, _HEADERS = 1500, {4: 50, 6: 70}
"""Ethernet, IP, UDP and VXLAN headers around each frame."""
_SEAL = 40
"""ESP's header, initial vector, padding and check value (RFC 4303, RFC 4106), in whole words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySettings:
    """One network's part on this host."""

    bridge: BridgeSettings
    tunnel: CreateTunnel

    @property
    def version(self) -> int:
        """Of IP, between hosts."""
        return ip_address(self.tunnel.local).version


def settings_of(network: Network, *, table: str, alias: str) -> OverlaySettings:
    """The bridge and the tunnel of a network. Raises: InvalidValue."""
    options = network.options
    is_sealed = options.get(ENCRYPTED) == "" or flag(options, ENCRYPTED, default=False)
    text, local = options.get(VNI, ""), options.get(LOCAL, "")
    if not (_NUMBER.fullmatch(text) and 0 < int(text) <= _HIGHEST_VNI):
        raise InvalidValue(f"failed to parse {VNI} value: {text} (not the number of a network)")
    try:
        version = ip_address(local).version
    except ValueError as error:
        raise InvalidValue(f"failed to parse {LOCAL} value: {local} (nil ip)") from error
    around = _HEADERS[version] + (_SEAL if is_sealed else 0)
    mtu = number(options, MTU, default=0) or _UNDERLAY_MTU - around
    why = f"the overlay network {network.name}"
    bridge = BridgeSettings(
        name=f"ov-{network.id[:_ID_DIGITS]}",
        ranges=network.ranges,
        alias=alias,
        table=table,
        mtu=mtu,
        is_internal=True,
        masqueraded=frozenset(),
        unaddressed=frozenset({4, 6}),
        sealed_port=SEALED_PORT if is_sealed else 0,
        why_made=why,
    )
    tunnel = CreateTunnel(
        why=why,
        name=f"vx-{network.id[:_ID_DIGITS]}",
        vni=int(text),
        local=local,
        port=bridge.sealed_port or PORT,
        mtu=mtu,
        alias=alias,
        bridge=bridge.name,
    )
    return OverlaySettings(bridge=bridge, tunnel=tunnel)


def tunnel_plan(settings: OverlaySettings, *, has_ipv6: bool) -> Plan:
    """Make the tunnel and switch it on. `has_ipv6` is the host's."""
    name = settings.tunnel.name
    on = BringUp(why="the tunnel carries frames", interface=name)
    if not has_ipv6:
        return (settings.tunnel, on)
    answers_ipv6 = settings.bridge.has_ipv6
    quiet = SetSysctl(
        why="the host has no address of its own at the tunnel, and says nothing there",
        name=f"net/ipv6/conf/{name}/addr_gen_mode",
        value="1",
    )
    answering = SetSysctl(
        why="the tunnel answers for IPv6 addresses" if answers_ipv6 else "there is no IPv6",
        name=f"net/ipv6/conf/{name}/disable_ipv6",
        value="0" if answers_ipv6 else "1",
    )
    return (settings.tunnel, quiet, answering, on)


def peer_table(settings: OverlaySettings, peers: Iterable[Peer]) -> FillPeerTable:
    """The operation that makes these the tunnel's peers, and no others."""
    entries = sorted(
        (address, peer.mac_address, peer.host) for peer in peers for address in peer.addresses
    )
    return FillPeerTable(
        why="who has an address is known beforehand, so that nothing is flooded",
        tunnel=settings.tunnel.name,
        peers=tuple(entries),
    )
