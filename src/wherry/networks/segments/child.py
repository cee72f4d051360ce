"""The segment of a macvlan or ipvlan network: a link of the host that containers are ports of."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from wherry.model.errors.networks import ConnectionRefused
from wherry.networks.drivers import child
from wherry.networks.drivers.child import ChildSettings
from wherry.networks.drivers.inside import EndpointPlan
from wherry.networks.segments import host_parent
from wherry.networks.segments.segment import LocalSegment, Segment
from wherry.operations.plan import Plan


class ChildSegment(LocalSegment):
    """One parent link, as one network uses it."""

    outlives_namespace = True
    is_inside_alone = True

    def __init__(self, name: str, settings: ChildSettings) -> None:
        """`name` is the network's."""
        self.name = name
        self.settings = settings
        self.has_mac_addresses = settings.driver == "macvlan"
        """An ipvlan port has its parent's."""
        self.routes_by_link = settings.routes_by_link

    @property
    def ways_out(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """Gateways on the host's own network, which the user named."""
        return self.settings.ways_out

    def link_plan(self, endpoint: EndpointPlan) -> Plan:
        """A port that is born inside."""
        return child.link_plan(self.settings, endpoint)

    def check(self, others: Iterable[Segment]) -> None:
        """The parent is there or can be made, and serves both drivers' networks on it.

        Raises: ConnectionRefused, HostLacks, InvalidValue.
        """
        for each in others:
            if isinstance(each, ChildSegment) and each.settings.parent == self.settings.parent:
                self._check_beside(each)
        host_parent.check(self.settings)

    def _check_beside(self, other: "ChildSegment") -> None:
        """What one link can't do for two networks (macvlan_port_create, ipvlan_port_create)."""
        ours, theirs = self.settings, other.settings
        is_alone = "passthru" in (ours.mode, theirs.mode)
        differs = ours.driver != theirs.driver or (
            ours.driver == "ipvlan" and (ours.mode, ours.flag) != (theirs.mode, theirs.flag)
        )
        if is_alone or differs:
            raise ConnectionRefused(
                f"network {other.name} is already using parent interface {ours.parent} in "
                f"{theirs.driver} mode {theirs.mode}"
            )

    def make(self) -> None:
        """The parent, where it is missing. Raises: StepFailed."""
        host_parent.make(self.settings)

    def repair(self) -> None:
        """The parent, where it is missing: the host was started anew. Raises: StepFailed."""
        host_parent.make(self.settings)

    def take_down(self, others: Iterable[Segment]) -> None:
        """The parent, if we made it and no other network stands on it. Raises: StepFailed."""
        is_shared = any(
            isinstance(each, ChildSegment) and each.settings.parent == self.settings.parent
            for each in others
        )
        if not is_shared:
            host_parent.take_down(self.settings)
