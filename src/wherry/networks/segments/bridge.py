"""The segment of a bridge network: a bridge of this host."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from wherry.model.errors.networks import ConnectionRefused
from wherry.model.ids import NetworkId
from wherry.model.networks import EndpointStatus
from wherry.networks.connections import as_done
from wherry.networks.drivers import bridge
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.drivers.inside import EndpointPlan
from wherry.networks.segments import host_bridge
from wherry.networks.segments.segment import LocalSegment, Segment
from wherry.operations.plan import Hands, Plan, undo


class BridgeSegment(LocalSegment):
    """One bridge."""

    has_mac_addresses = True

    def __init__(
        self, network_id: NetworkId, settings: BridgeSettings, *, replaces_addresses: bool = False
    ) -> None:
        """With `replaces_addresses` a repair takes addresses away that the bridge had before."""
        self.network_id = network_id
        self.settings = self.bridge = self.publishing = settings
        self.link, self.interface_prefix = settings.name, settings.interface_prefix
        self._replaces_addresses = replaces_addresses

    @property
    def ways_out(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """The bridge's own addresses, unless the operator named others."""
        return self.settings.ways_out

    def link_plan(self, endpoint: EndpointPlan) -> Plan:
        """A veth pair, one end of which is a port of the bridge."""
        return bridge.link_plan(self.settings, endpoint)

    def route_plan(self, endpoint: EndpointStatus, namespace_path: str) -> Plan:
        """No routes; but it is told who its gateway is, so that it need not ask on the bridge."""
        return bridge.gateway_plan(self.settings, endpoint, namespace_path)

    def dismiss(self, endpoint: EndpointStatus) -> None:
        """The host no longer knows the endpoint's addresses. Blocks."""
        undo(as_done((bridge.pinned(self.settings, endpoint),)), Hands())

    def check(self, others: Iterable[Segment]) -> None:
        """No two networks have one bridge. Raises: ConnectionRefused."""
        name = self.settings.name
        for each in others:
            if isinstance(each, BridgeSegment) and each.settings.name == name:
                raise ConnectionRefused(
                    f"networks have same bridge name: conflict with network {each.network_id} "
                    f"({name})"
                )

    def make(self) -> None:
        """The bridge. Raises: StepFailed."""
        host_bridge.make(self.settings)

    def repair(self) -> None:
        """The bridge. Raises: InvalidField, StepFailed."""
        host_bridge.bring_up(self.settings, replaces_addresses=self._replaces_addresses)

    def take_down(self, others: Iterable[Segment]) -> None:
        """The bridge, if it is ours. Raises: StepFailed."""
        del others
        host_bridge.take_down(self.settings)
