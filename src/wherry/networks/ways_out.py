"""A running container's way out, moved from one network to another; its ports follow.

Theory of operation. Three things lead through the way out, and each is moved by one step that the
kernel, or netd, does as a whole:

    relays     netd lets what it relays lead to other addresses     one request
    ports      entries of the packet filter have another value      one transaction
    routes     a default route has another gateway                  one message each

So nothing is taken away first, and there is no moment in which a published port leads nowhere.
Between two steps, and for ever if the daemon dies there, a port's packets come in through one
network and their answers leave through the other: the host knows both networks, and its
connection tracking knows the answers. A step that finds its work done does nothing; the reverse
of a move is a move.
"""

import asyncio
from collections.abc import Sequence

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.values import replace
from wherry.model.networks import EndpointStatus, PublishedPort
from wherry.networks import connections
from wherry.networks.drivers import inside
from wherry.networks.endpoint_choices import way_out_of
from wherry.networks.joins import Attached
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.ports import published_ports
from wherry.networks.ports.host_ports import HostPorts
from wherry.networks.sandboxes import AttachRequest
from wherry.networks.segments import host_bridge
from wherry.networks.uninterrupted import to_its_end
from wherry.operations.plan import Plan

_VERSIONS = (4, 6)

Endpoints = list[EndpointStatus]


class WaysOut:
    """Default routes and published ports, from one endpoint to another."""

    def __init__(
        self,
        *,
        networks: MadeNetworks,
        ports: HostPorts,
        offload: OffloadPool,
        publishing: asyncio.Lock,
    ) -> None:
        """`publishing` is held while entries of containers are completed."""
        self._networks, self._ports, self._offload = networks, ports, offload
        self._publishing = publishing

    async def move(
        self,
        undo: UndoStack,
        attached: Attached,
        after: Sequence[EndpointStatus],
        request: AttachRequest,
        container_netlink: int,
    ) -> None:
        """Have a container the endpoints of `after`, and what leads through them.

        Raises: PortInUse, FeatureMissing, StepFailed.
        """
        before = attached.endpoints
        there = await self._with_ports(before, after, request)
        undo.push(self._lead, attached, there, before, request, container_netlink)
        await to_its_end(self._lead(attached, before, there, request, container_netlink))

    async def publish(
        self, way_out: EndpointStatus, request: AttachRequest
    ) -> tuple[PublishedPort, ...]:
        """Hold the host ports that a container wants, to lead to its way out.

        Raises: PortInUse, InvalidField, FeatureMissing, StepFailed.
        """
        segment = self._networks.under(way_out).segment
        settings = segment.publishing
        if settings is None:
            bindings = published_ports.bindings_of(request.network)
            if bindings:
                await self._offload(segment.publish, way_out, bindings)
            return ()
        wishes = published_ports.wishes_of(
            request.network,
            has_ipv6=host_bridge.has_ipv6(),
            defaults=settings.host_addresses,
            unled=settings.unled,
            filtered=settings.filtered(way_out),
        )
        ports = await self._ports.reserve(
            request.container_id, request.container_name, way_out, wishes
        )
        return (
            *published_ports.published_of(wishes, ports),
            *published_ports.direct_of(request.network, settings.direct),
        )

    async def _lead(
        self,
        attached: Attached,
        before: Endpoints,
        after: Endpoints,
        request: AttachRequest,
        container_netlink: int,
    ) -> None:
        async with self._publishing:
            await self._lead_relays(before, after, request)
            await self._lead_ports(before, after)
            await self._turn_routes(before, after, attached.namespace_path, container_netlink)
            attached.endpoints = after

    # -- steps -------------------------------------------------------------------------------

    async def _lead_relays(
        self, before: Endpoints, after: Endpoints, request: AttachRequest
    ) -> None:
        old, new = way_out_of(before), way_out_of(after)
        if new is not None and new.published:
            await self._ports.reserve(
                request.container_id,
                request.container_name,
                new,
                published_ports.wishes_again(new.published),
            )
        elif old is not None and old.published:
            await self._ports.release(request.container_id)

    async def _lead_ports(self, before: Endpoints, after: Endpoints) -> None:
        goes, comes = self._publication(before), self._publication(after)
        if goes != comes:
            await self._offload(
                connections.republish, goes, comes, packet_filter=self._networks.packet_filter
            )

    async def _turn_routes(
        self, before: Endpoints, after: Endpoints, path: str, container_netlink: int
    ) -> None:
        goes: Plan = ()
        comes: Plan = ()
        for version in _VERSIONS:
            old, new = _leader(before, version), _leader(after, version)
            match (old, new):
                case (EndpointStatus(), EndpointStatus()):
                    if old.endpoint_id != new.endpoint_id:
                        comes += (inside.turned_route(old, new, version, path),)
                case (EndpointStatus(), None):
                    goes += (inside.default_route(old, version, path),)
                case (None, EndpointStatus()):
                    comes += (inside.default_route(new, version, path),)
        if goes or comes:
            await self._offload(
                connections.have_routes,
                comes,
                instead_of=goes,
                container_netlink=container_netlink,
            )

    # -- small questions ---------------------------------------------------------------------

    async def _with_ports(
        self, before: Endpoints, after: Sequence[EndpointStatus], request: AttachRequest
    ) -> Endpoints:
        """The endpoints, of which the way out has the ports that led to the one before."""
        old, new = way_out_of(before), way_out_of(after)
        published = old.published if old is not None else ()
        is_other = old is None or new is None or old.endpoint_id != new.endpoint_id
        if new is not None and is_other and not published:
            published = await self.publish(new, request)
        return [replace(each, published=published if each is new else ()) for each in after]

    def _publication(self, endpoints: Endpoints) -> connections.Publication:
        way_out = way_out_of(endpoints)
        if way_out is None or not way_out.published:
            return ()
        return self._networks.under(way_out).publication(way_out)


def _leader(endpoints: Endpoints, version: int) -> EndpointStatus | None:
    """The endpoint that the default route of a version of IP leads through."""
    return next((each for each in endpoints if inside.leads_out(each, version)), None)
