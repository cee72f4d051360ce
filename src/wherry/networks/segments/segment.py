"""What the containers of one network are joined to: a bridge, a link of the host, a tunnel.

Each driver has a segment of its own. A segment knows how an endpoint is joined to it (as plans),
and how it itself comes to be on this host and goes; it knows nothing of which addresses are free.
"""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from wherry.model.networks import EndpointStatus, PortBinding
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.drivers.inside import EndpointPlan
from wherry.operations.plan import Plan


class Segment(Protocol):
    """One network's segment. What makes, repairs and takes down blocks."""

    @property
    def interface_prefix(self) -> str:
        """What interfaces inside begin with."""
        ...

    @property
    def has_mac_addresses(self) -> bool:
        """Whether each endpoint has a MAC address of its own."""
        ...

    @property
    def ways_out(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """The gateways of containers' default routes; none where it leads nowhere."""
        ...

    @property
    def routes_by_link(self) -> bool:
        """Whether default routes need no gateway."""
        ...

    @property
    def link(self) -> str:
        """The link of the host that goes with it; empty where none does for sure."""
        ...

    @property
    def bridge(self) -> BridgeSettings | None:
        """The bridge of this host that it has, which the packet filter is to know."""
        ...

    @property
    def publishing(self) -> BridgeSettings | None:
        """How ports are published; None: containers are reached without the host."""
        ...

    @property
    def outlives_namespace(self) -> bool:
        """Whether links have to be taken out of a namespace that ends, or is somebody else's."""
        ...

    @property
    def is_inside_alone(self) -> bool:
        """Whether its links have no end on the host, and are seen from inside alone."""
        ...

    @property
    def is_lent(self) -> bool:
        """Whether its links are made by somebody else, a plugin."""
        ...

    def link_plan(self, endpoint: EndpointPlan) -> Plan:
        """Join a namespace that exists; the link inside has no address yet."""
        ...

    def admit(
        self, endpoint: EndpointStatus, namespace_path: str, name: Callable[[str], str]
    ) -> EndpointStatus:
        """Let somebody else have a say about an endpoint that is about to join. Blocks.

        `name` gives the next name of an interface that begins in some way. Raises: PluginFailed.
        """
        ...

    def publish(self, endpoint: EndpointStatus, bindings: Sequence[PortBinding]) -> None:
        """Have somebody else lead ports to an endpoint, where nothing of ours does. Blocks.

        Raises: PluginFailed.
        """
        ...

    def dismiss(self, endpoint: EndpointStatus) -> None:
        """Tell somebody else that an endpoint has left. Blocks; twice is no error."""
        ...

    def route_plan(self, endpoint: EndpointStatus, namespace_path: str) -> Plan:
        """Routes that its containers have besides those of their subnets."""
        ...

    def check(self, others: "Iterable[Segment]") -> None:
        """Refuse what can't stand beside others, or on this host.

        Raises: ConnectionRefused, HostLacks, InvalidValue.
        """
        ...

    def make(self) -> None:
        """Bring it into being; nothing is left when it fails. Raises: StepFailed."""
        ...

    def repair(self) -> None:
        """Make what is missing of it. Raises: InvalidField, StepFailed."""
        ...

    def take_down(self, others: "Iterable[Segment]") -> None:
        """Take away what is ours and what no other stands on. Raises: StepFailed."""
        ...


class LocalSegment:
    """What segments have in common that nobody else has a say about."""

    link = ""
    bridge: BridgeSettings | None = None
    publishing: BridgeSettings | None = None
    routes_by_link = False
    outlives_namespace = False
    is_inside_alone = False
    is_lent = False
    interface_prefix = "eth"

    def admit(
        self, endpoint: EndpointStatus, namespace_path: str, name: Callable[[str], str]
    ) -> EndpointStatus:
        """The endpoint as it is."""
        del namespace_path, name
        return endpoint

    def publish(self, endpoint: EndpointStatus, bindings: Sequence[PortBinding]) -> None:
        """Nobody does: containers are reached without the host."""

    def dismiss(self, endpoint: EndpointStatus) -> None:
        """Nobody is told."""

    def route_plan(self, endpoint: EndpointStatus, namespace_path: str) -> Plan:
        """No other routes."""
        del endpoint, namespace_path
        return ()
