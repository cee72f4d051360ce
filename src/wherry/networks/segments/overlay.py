"""The segment of an overlay network: a bridge of this host with a tunnel to other hosts."""

import os
from collections.abc import Iterable, Iterator

from wherry.linux import netlink, network_links, virtual_links, xfrm
from wherry.model.errors import HostLacks, StepFailed
from wherry.model.errors.networks import ConnectionRefused
from wherry.model.ids import NetworkId
from wherry.model.networks import Peer
from wherry.networks.connections import as_done, as_step_failed
from wherry.networks.drivers import overlay
from wherry.networks.drivers.overlay import OverlaySettings
from wherry.networks.segments import host_bridge
from wherry.networks.segments.bridge import BridgeSegment
from wherry.networks.segments.sealing import Way
from wherry.networks.segments.segment import Segment
from wherry.operations.network.links import HOST_NETLINK
from wherry.operations.plan import Hands, OperationFailed, Plan, execute, undo

_IPV6 = "/proc/sys/net/ipv6"


class OverlaySegment(BridgeSegment):
    """One network's part on this host."""

    def __init__(self, network_id: NetworkId, settings: OverlaySettings) -> None:
        super().__init__(network_id, settings.bridge)
        self.overlay = settings
        self.publishing = None  # the host does not reach its containers

    @property
    def is_sealed(self) -> bool:
        """Whether what goes between hosts is encrypted."""
        return bool(self.settings.sealed_port)

    def check(self, others: Iterable[Segment]) -> None:
        """The number is no other network's, and the kernel has tunnels, and seals if need be.

        Raises: ConnectionRefused, HostLacks.
        """
        vni = self.overlay.tunnel.vni
        for each in others:
            if isinstance(each, OverlaySegment) and each.overlay.tunnel.vni == vni:
                raise ConnectionRefused(
                    f"network {each.network_id} has the vxlan id {vni} already"
                )
        descriptor = netlink.open_socket()
        try:
            if not virtual_links.knows_kind(netlink.NetlinkSocket(descriptor), "vxlan"):
                raise HostLacks("the network driver overlay", "a kernel with vxlan links")
        finally:
            os.close(descriptor)
        if self.is_sealed:
            self._check_seals()

    def make(self) -> None:
        """The bridge, then the tunnel; nothing is left when it fails. Raises: StepFailed."""
        if self.is_sealed:
            host_bridge.guard(self.settings)
        super().make()
        try:
            self._dig()
        except StepFailed:
            super().take_down(())
            raise

    def repair(self) -> None:
        """What is missing of them; who is behind the tunnel is told anew by whoever knows."""
        super().repair()
        self._dig()

    def take_down(self, others: Iterable[Segment]) -> None:
        """The tunnel and the bridge, if they are ours. Raises: StepFailed."""
        problems = undo(as_done((self.overlay.tunnel,)), Hands())
        if problems:
            raise StepFailed(
                step=f"remove the tunnel {self.overlay.tunnel.name}", cause="; ".join(problems)
            )
        super().take_down(others)
        if self.is_sealed and not any(sealed(others)):
            host_bridge.unguard(self.settings)

    def set_peers(self, peers: Iterable[Peer]) -> None:
        """Have the tunnel lead to these and to nobody else. Blocks. Raises: StepFailed."""
        _perform((overlay.peer_table(self.overlay, peers),))

    def ways(self) -> Iterator[Way]:
        """From this host to the others on the network, as the kernel was told. Blocks."""
        descriptor = netlink.open_socket()
        try:
            route = netlink.NetlinkSocket(descriptor)
            link = network_links.find_link(route, self.overlay.tunnel.name)
            known = virtual_links.forwardings(route, link.index) if link is not None else []
        finally:
            os.close(descriptor)
        local = self.overlay.tunnel.local
        yield from {Way(local, each.host) for each in known if each.host != local}

    def _check_seals(self) -> None:
        descriptor = xfrm.open_xfrm_socket()
        try:
            if not xfrm.can_seal(descriptor, self.overlay.version):
                module = "esp4" if self.overlay.version == 4 else "esp6"
                raise HostLacks("encrypted overlay networks", f"a kernel with ESP ({module})")
        finally:
            os.close(descriptor)

    def _dig(self) -> None:
        descriptor = netlink.open_socket()
        try:
            route = netlink.NetlinkSocket(descriptor)
            is_there = network_links.find_link(route, self.overlay.tunnel.name) is not None
        finally:
            os.close(descriptor)
        if not is_there:
            _perform(overlay.tunnel_plan(self.overlay, has_ipv6=os.path.isdir(_IPV6)))


def sealed(segments: Iterable[Segment]) -> Iterator[OverlaySegment]:
    """Those of encrypted networks."""
    return (each for each in segments if isinstance(each, OverlaySegment) and each.is_sealed)


def _perform(plan: Plan) -> None:
    hands = Hands({HOST_NETLINK: netlink.open_socket()})
    try:
        execute(plan, hands, [])
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()
