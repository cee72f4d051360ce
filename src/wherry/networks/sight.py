"""What the kernel says of a packet's way: routes, links, addresses, sockets, filters. Reads only.

The host's namespace is looked at from here, a container's through a socket that was opened
inside; what is bound there stands below /proc of any process of it.
"""

import os
import socket
from ipaddress import ip_address

from wherry.kit.aio import OffloadPool
from wherry.linux import addressing, netlink, network_links
from wherry.linux.socket_tables import listening_sockets
from wherry.linux.syscall import KernelError
from wherry.model.ids import NetworkId
from wherry.model.networks import EndpointStatus, Network
from wherry.model.reaching import LinkSeen, ListenerSeen, NameSeen, ProbeSeen, WaySeen
from wherry.networks.connections import host_interface_name
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.names.name_probe import asked
from wherry.networks.packets import foreign_filters
from wherry.networks.ports.owner import program_of
from wherry.networks.probing import Probing
from wherry.networks.sandboxes import NamespaceJobs
from wherry.operations.plan import Verdict

_EVERY_PROTOCOL = 3
"""ETH_P_ALL (linux/if_ether.h)."""


class Sight:
    """Looks, and sends a packet if asked to."""

    def __init__(
        self, *, networks: MadeNetworks, jobs: NamespaceJobs, offload: OffloadPool
    ) -> None:
        self._networks, self._jobs, self._offload = networks, jobs, offload
        self._probing = Probing(table=networks.table, jobs=jobs, offload=offload)

    async def way(self, namespace_path: str, address: str) -> WaySeen:
        """The route that the kernel takes from a namespace; an empty path: the host's."""
        descriptor = await self._netlink(namespace_path)
        try:
            return await self._offload(_way, descriptor, address)
        finally:
            os.close(descriptor)

    async def has_address(self, namespace_path: str, address: str) -> bool:
        """Whether some link of a namespace has an address."""
        descriptor = await self._netlink(namespace_path)
        try:
            return await self._offload(_has_address, descriptor, address)
        finally:
            os.close(descriptor)

    async def link(self, endpoint: EndpointStatus) -> LinkSeen | None:
        """The host's end of an endpoint's veth pair; None where the network has no bridge."""
        bridge = self._bridge(endpoint.network_id)
        return await self._offload(_link, endpoint, bridge.name) if bridge else None

    async def listeners(self, pid: int, protocol: str) -> tuple[ListenerSeen, ...]:
        """Which sockets take connections in the network namespace of a process."""
        return await self._offload(_listeners, pid, protocol)

    async def barriers(self) -> tuple[str, ...]:
        """Chains of others in the forward hook that drop whatever they do not allow."""
        return await self._offload(_barriers, self._networks.table)

    async def publishes(self, endpoint: EndpointStatus) -> bool:
        """Whether the packet filter leads an endpoint's host ports to it now."""
        made = self._networks.find(endpoint.network_id)
        if made is None:
            return False
        findings = [await self._offload(each.check, {}) for each in made.publication(endpoint)]
        return all(each.verdict is Verdict.STILL_TRUE for each in findings)

    async def name(self, namespace_path: str, name: str) -> NameSeen:
        """What the resolver inside a namespace answers."""
        return await asked(self._jobs, namespace_path, name)

    async def probe(
        self, namespace_path: str, address: str, port: int, protocol: str
    ) -> ProbeSeen:
        """Send one packet and see what becomes of it; it takes up to a second and a half."""
        return await self._probing.send(namespace_path, address, port, protocol)

    async def open_packet_socket(self, namespace_path: str, expression: str) -> int:
        """A socket that sees the packets of a namespace; the caller closes it.

        An empty expression is true of all. Raises: InvalidField, HostLacks.
        """
        if not expression:
            return await self._open_packet_socket(namespace_path)
        from wherry.networks import packet_sockets

        code = await self._offload(packet_sockets.compiled, expression)
        opened = await self._open_packet_socket(namespace_path)
        await self._offload(packet_sockets.attach, opened, code)
        return opened

    async def _open_packet_socket(self, namespace_path: str) -> int:
        family, kind, all_kinds = socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL)
        if not namespace_path:
            return socket.socket(family, kind, all_kinds).detach()
        return await self._jobs.open_socket(
            namespace_path, family=family, kind=kind, protocol=all_kinds
        )

    def may_meet(self, network: Network) -> bool:
        """Whether containers of a network may talk to each other."""
        bridge = self._bridge(network.id)
        return bridge is None or bridge.may_meet

    def is_open(self, network: Network) -> bool:
        """Whether other machines may reach every port of its containers."""
        bridge = self._bridge(network.id)
        return bridge is not None and 4 in bridge.open

    def why_crossed(self, network: Network, *, is_published: bool) -> str:
        """What lets containers of other networks reach a port of its own; empty: nothing."""
        bridge = self._bridge(network.id)
        if bridge is None or not bridge.is_filtered:
            return ""
        if 4 in bridge.open:
            return "gateway mode nat-unprotected"
        if is_published and 4 in bridge.routed:
            return "gateway mode routed"
        return "--allow-direct-routing" if is_published and bridge.allows_direct_routing else ""

    def _bridge(self, network_id: NetworkId) -> BridgeSettings | None:
        made = self._networks.find(network_id)
        return made.segment.bridge if made is not None else None

    async def _netlink(self, namespace_path: str) -> int:
        if namespace_path:
            return await self._jobs.open_netlink(namespace_path)
        return netlink.open_socket()


def _way(descriptor: int, address: str) -> WaySeen:
    route = netlink.NetlinkSocket(descriptor)
    try:
        way = addressing.way_to(route, ip_address(address))
    except KernelError as error:
        return WaySeen(problem=(error.strerror or str(error)).lower())
    named = {each.index: each.name for each in network_links.links(route)}
    gateway = str(way.gateway) if way.gateway is not None else ""
    return WaySeen(interface=named.get(way.link_index, ""), gateway=gateway)


def _has_address(descriptor: int, address: str) -> bool:
    route = netlink.NetlinkSocket(descriptor)
    wanted = ip_address(address)
    return any(
        each.ip == wanted
        for link in network_links.links(route)
        for each in addressing.addresses(route, link.index, version=wanted.version)
    )


def _link(endpoint: EndpointStatus, bridge: str) -> LinkSeen:
    name = host_interface_name(endpoint.endpoint_id)
    descriptor = netlink.open_socket()
    try:
        route = netlink.NetlinkSocket(descriptor)
        link, over = network_links.find_link(route, name), network_links.find_link(route, bridge)
    finally:
        os.close(descriptor)
    problem = ""
    if over is None:
        problem = f"the bridge {bridge} is gone"
    elif not over.is_up:
        problem = f"the bridge {bridge} is down"
    elif link is None:
        problem = f"the host's end of its cable, {name}, is gone"
    elif not link.is_up:
        problem = f"the host's end of its cable, {name}, is down"
    elif link.master != over.index:
        problem = f"the host's end of its cable, {name}, is not plugged into the bridge {bridge}"
    return LinkSeen(
        name=name,
        bridge=bridge,
        problem=problem,
        is_isolated=link is not None and link.is_isolated,
    )


def _listeners(pid: int, protocol: str) -> tuple[ListenerSeen, ...]:
    return tuple(
        ListenerSeen(address=str(each.address), port=each.port, program=program_of((each.inode,)))
        for each in listening_sockets(protocol, f"/proc/{pid}/net")
    )


def _barriers(own_table: str) -> tuple[str, ...]:
    found = foreign_filters.look(own_table, ())
    closed = (f"{each.family} filter {each.door}" for each in found.doors if not each.is_open())
    return tuple(sorted([*found.shut, *closed]))
