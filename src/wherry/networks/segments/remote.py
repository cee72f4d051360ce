"""The segment of a network that a plugin makes (`network create -d PLUGIN`).

What happens to an endpoint, in order:

    the engine                          the plugin
    CreateEndpoint (addresses)     ->   may choose the MAC address, or addresses
    Join (path of the namespace)   ->   makes a link on the host; says its name, gateways, routes
    ProgramExternalConnectivity    ->   leads published ports there
    moves the link inside
      ... the container lives ...
    moves the link back
    RevokeExternalConnectivity, Leave, DeleteEndpoint    ->   removes the link

The namespace may not be there yet when the plugin is told of it: the link is moved by the engine.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import TypeVar

from msgspec import Struct

from wherry.kit.values import replace
from wherry.model.errors.plugins import PluginFailed
from wherry.model.networks import EndpointStatus, Network, PortBinding
from wherry.networks import plugin_messages as said
from wherry.networks.drivers.bridge import is_valid_name
from wherry.networks.drivers.inside import EndpointPlan
from wherry.networks.segments.segment import LocalSegment, Segment
from wherry.operations.network.moved_links import MoveLink
from wherry.operations.network.routes import AddRoute
from wherry.operations.plan import Plan
from wherry.plugins import Answer, Nothing, Plugin

_log = logging.getLogger(__name__)
_SPACES = {"local": "LocalDefault", "global": "GlobalDefault"}
"""What the engine's own address spaces are called, by the scope of the network."""
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_PORTS = "com.docker.network.portmap"
_ANY = {4: "0.0.0.0/0", 6: "::/0"}
_Answer = TypeVar("_Answer", bound=Answer)


class RemoteSegment(LocalSegment):
    """One network of a plugin's."""

    has_mac_addresses = True
    outlives_namespace = True
    is_lent = True
    ways_out = ()
    """The plugin names each endpoint's."""

    def __init__(self, network: Network, find: Callable[[], Plugin]) -> None:
        """`find` raises PluginNotFound while the plugin is not there."""
        self._network, self._find = network, find
        self._routes: dict[str, tuple[said.StaticRoute, ...]] = {}
        self._publishing: set[str] = set()
        """Endpoints whose ports the plugin has led; one of before a boot leaves all the same."""

    # -- the network -------------------------------------------------------------------------

    def check(self, others: Iterable[Segment]) -> None:
        """A plugin's networks stand beside any others."""

    def make(self) -> None:
        """Tell the plugin of it. Raises: PluginFailed, PluginNotFound."""
        network = self._network
        options: dict[str, bool | dict[str, str]] = {
            "com.docker.network.enable_ipv4": network.has_ipv4,
            "com.docker.network.enable_ipv6": network.has_ipv6,
            "com.docker.network.generic": dict(network.options),
        }
        if network.is_internal:
            options["com.docker.network.internal"] = True
        creation = said.NetworkCreation(
            NetworkID=network.id,
            Options=options,
            IPv4Data=self._pools(4),
            IPv6Data=self._pools(6),
        )
        self._call("CreateNetwork", creation, Answer)

    def repair(self) -> None:
        """Nothing: the plugin remembers its networks."""

    def take_down(self, others: Iterable[Segment]) -> None:
        """Tell the plugin that it is no more. Raises: PluginFailed, PluginNotFound."""
        del others
        self._call("DeleteNetwork", said.NetworkNamed(self._network.id), Answer)

    # -- endpoints ---------------------------------------------------------------------------

    def admit(
        self, endpoint: EndpointStatus, namespace_path: str, name: Callable[[str], str]
    ) -> EndpointStatus:
        """Have the plugin make a link. Raises: PluginFailed, PluginNotFound."""
        named = said.EndpointNamed(self._network.id, endpoint.endpoint_id)
        creation = said.EndpointCreation(
            NetworkID=named.NetworkID,
            EndpointID=named.EndpointID,
            Interface=said.InterfaceData(
                Address=_with_length(endpoint.address, endpoint.prefix_length),
                AddressIPv6=_with_length(endpoint.ipv6_address, endpoint.ipv6_prefix_length),
                MacAddress=endpoint.mac_address,
            ),
        )
        created = self._call("CreateEndpoint", creation, said.EndpointCreated)
        try:
            chosen = self._with_choices(endpoint, created.Interface or said.InterfaceData())
            join = said.Join(named.NetworkID, named.EndpointID, namespace_path)
            joined = self._checked(self._call("Join", join, said.Joined))
        except BaseException:
            self._try("DeleteEndpoint", named)
            raise
        self._routes[endpoint.endpoint_id] = joined.StaticRoutes
        link = joined.InterfaceName or said.LinkName()
        return replace(
            chosen,
            link=link.SrcName,
            interface=name(link.DstPrefix or "eth") if link.SrcName else "",
            gateway=joined.Gateway,
            ipv6_gateway=joined.GatewayIPv6,
        )

    def publish(self, endpoint: EndpointStatus, bindings: Sequence[PortBinding]) -> None:
        """Have the plugin lead ports there; one that can't is not obliged to.

        Raises: PluginFailed, PluginNotFound.
        """
        ports = tuple(
            said.PublishedPort(
                Proto=_PROTOCOLS[each.port.protocol],
                Port=each.port.number,
                HostIP=each.host_address,
                HostPort=each.host_port,
                HostPortEnd=each.host_port_end or each.host_port,
            )
            for each in bindings
        )
        publication = said.Publication(self._network.id, endpoint.endpoint_id, {_PORTS: ports})
        try:
            self._call("ProgramExternalConnectivity", publication, Answer)
        except PluginFailed as failed:
            if not failed.complaint.startswith("status 404"):
                raise
            return
        self._publishing.add(endpoint.endpoint_id)

    def dismiss(self, endpoint: EndpointStatus) -> None:
        """Have the plugin remove the link. What it complains of is logged."""
        self._routes.pop(endpoint.endpoint_id, None)
        named = said.EndpointNamed(self._network.id, endpoint.endpoint_id)
        if endpoint.endpoint_id in self._publishing:
            self._publishing.discard(endpoint.endpoint_id)
            self._try("RevokeExternalConnectivity", named)
        self._try("Leave", named)
        self._try("DeleteEndpoint", named)

    def link_plan(self, endpoint: EndpointPlan) -> Plan:
        """Move the plugin's link inside."""
        if not endpoint.link:
            return ()
        return (
            MoveLink(
                why=endpoint.why,
                link=endpoint.link,
                name=endpoint.interface,
                mac_address=endpoint.mac_address,
                namespace=endpoint.namespace_path,
            ),
        )

    def route_plan(self, endpoint: EndpointStatus, namespace_path: str) -> Plan:
        """The routes that the plugin named."""
        return tuple(
            AddRoute(
                why=f"the plugin {self._network.driver} named it",
                destination=str(ip_network(each.Destination)),
                gateway=each.NextHop if each.RouteType == 0 else "",
                interface=endpoint.interface,
                namespace=namespace_path,
            )
            for each in self._routes.get(endpoint.endpoint_id, ())
        )

    # -- calls -------------------------------------------------------------------------------

    def _with_choices(
        self, endpoint: EndpointStatus, chosen: said.InterfaceData
    ) -> EndpointStatus:
        """An endpoint with what the plugin chose. Raises: PluginFailed for nonsense."""
        try:
            if chosen.MacAddress:
                endpoint = replace(endpoint, mac_address=chosen.MacAddress.lower())
            if chosen.Address:
                four = ip_interface(chosen.Address)
                endpoint = replace(
                    endpoint, address=str(four.ip), prefix_length=four.network.prefixlen
                )
            if chosen.AddressIPv6:
                six = ip_interface(chosen.AddressIPv6)
                endpoint = replace(
                    endpoint, ipv6_address=str(six.ip), ipv6_prefix_length=six.network.prefixlen
                )
        except ValueError as error:
            raise self._failed("CreateEndpoint", str(error)) from error
        return endpoint

    def _checked(self, joined: said.Joined) -> said.Joined:
        """An answer that makes sense. Raises: PluginFailed."""
        names = joined.InterfaceName or said.LinkName()
        try:
            for address in (joined.Gateway, joined.GatewayIPv6):
                ip_address(address or "::")
            for each in joined.StaticRoutes:
                ip_network(each.Destination)
                ip_address(each.NextHop or "::")
            for name in (names.SrcName, f"{names.DstPrefix}99"):
                if name and not is_valid_name(name):
                    raise ValueError(f"{name!r} is not the name of an interface")
        except ValueError as error:
            raise self._failed("Join", str(error)) from error
        return joined

    def _pools(self, version: int) -> tuple[said.PoolData, ...]:
        if self._network.ipam_driver == "null":
            has_it = self._network.has_ipv4 if version == 4 else self._network.has_ipv6
            return (said.PoolData(AddressSpace="null", Pool=_ANY[version]),) if has_it else ()
        return tuple(
            said.PoolData(
                AddressSpace=_SPACES[self._network.scope],
                Pool=each.subnet,
                Gateway=_with_length(each.gateway, ip_network(each.subnet).prefixlen),
                AuxAddresses=dict(each.reserved),
            )
            for each in self._network.ranges
            if each.version == version
        )

    def _call(self, method: str, request: Struct, answer: type[_Answer]) -> _Answer:
        return self._find().call(f"NetworkDriver.{method}", request, answer)

    def _try(self, method: str, request: Struct) -> None:
        try:
            self._call(method, request, Answer)
        except Exception as error:
            _log.warning("networks.plugin network=%s method=%s %s",
                         self._network.name, method, error)  # fmt: skip

    def _failed(self, method: str, complaint: str) -> PluginFailed:
        return PluginFailed(self._network.driver, f"NetworkDriver.{method}", complaint)


def scope_of(plugin: Plugin) -> str:
    """How far a plugin's networks reach: `local` or `global`; on one host that is the same.

    Raises: PluginFailed.
    """
    answer = plugin.call("NetworkDriver.GetCapabilities", Nothing(), said.NetworkCapabilities)
    if answer.Scope not in _SPACES:
        raise PluginFailed(plugin.name, "NetworkDriver.GetCapabilities",
                           f"invalid capability: {answer.Scope}")  # fmt: skip
    return answer.Scope


def _with_length(address: str, length: int) -> str:
    return f"{ip_address(address)}/{length}" if address else ""
