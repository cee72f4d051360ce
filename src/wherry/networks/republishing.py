"""Other published ports for a container that runs: what stays is never let go in between.

netd            holds the new ports beside those that stay; a port that is taken ends it here
packet filter   new entries come, old ones go
flows           connections through ports that went are forgotten, so that they end
"""

from collections.abc import Sequence
from functools import partial

from wherry.kit.aio import OffloadPool
from wherry.kit.values import replace
from wherry.model.errors import StepFailed
from wherry.model.errors.networks import ConnectionRefused
from wherry.model.networks import EndpointStatus, PortBinding, PublishedPort
from wherry.networks import connections
from wherry.networks.joins import Attached
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.ports.host_ports import HostPorts
from wherry.networks.ports.published_ports import (
    direct_of,
    published_of,
    wishes_again,
    wishes_of,
)
from wherry.networks.sandboxes import AttachRequest
from wherry.networks.segments import host_bridge
from wherry.networks.uninterrupted import to_its_end
from wherry.operations.network.port_entries import ForgetFlows, PublishPorts
from wherry.operations.plan import Journal


class Republishing:
    """Changes what a container publishes."""

    def __init__(self, *, ports: HostPorts, networks: MadeNetworks, offload: OffloadPool) -> None:
        self._ports, self._networks, self._offload = ports, networks, offload

    async def change(
        self,
        attached: Attached,
        request: AttachRequest,
        *,
        kept: Sequence[PublishedPort],
        added: Sequence[PortBinding],
        keeps_flows: bool,
    ) -> Journal:
        """Publish what is kept and what is added; the endpoints say so afterwards.

        The journal tells what leads to the container then.

        Raises: ConnectionRefused, PortInUse, FeatureMissing, StepFailed; then all is as before.
        """
        way_out = attached.way_out
        if way_out is None or not way_out.is_connected:
            raise ConnectionRefused(
                f"container {request.container_name} has no network that ports could lead to"
            )
        return await to_its_end(
            self._change(attached, way_out, request, kept, added, keeps_flows=keeps_flows)
        )

    async def _change(
        self,
        attached: Attached,
        way_out: EndpointStatus,
        request: AttachRequest,
        kept: Sequence[PublishedPort],
        added: Sequence[PortBinding],
        *,
        keeps_flows: bool,
    ) -> Journal:
        made = self._networks.under(way_out)
        settings = made.segment.publishing
        if settings is None:
            raise ConnectionRefused(
                f"ports of a container on network {way_out.network_name} ({made.network.driver})"
                " are not published"
            )
        asked = replace(request.network, bindings=tuple(added), publishes_all=False)
        new = wishes_of(
            asked,
            has_ipv6=host_bridge.has_ipv6(),
            defaults=settings.host_addresses,
            unled=settings.unled,
            filtered=settings.filtered(way_out),
        )
        former, wishes = wishes_again(way_out.published), (*wishes_again(kept), *new)
        exchange = partial(
            self._ports.exchange,
            request.container_id,
            request.container_name,
            way_out,
        )
        ports = await exchange(before=former, after=wishes)
        direct = [each for each in kept if not each.host_port]
        direct += [each for each in direct_of(asked, settings.direct) if each not in direct]
        after = replace(way_out, published=(*published_of(wishes, ports), *direct))
        before, publication = made.publication(way_out), made.publication(after)
        try:
            await self._offload(
                connections.republish,
                before,
                publication,
                () if keeps_flows else _ends_of_flows(before, publication),
                packet_filter=self._networks.packet_filter,
            )
        except StepFailed:
            await exchange(before=wishes, after=former)
            raise
        attached.endpoints = [after if x is way_out else x for x in attached.endpoints]
        return connections.as_told(publication)


def _ends_of_flows(
    before: connections.Publication, after: connections.Publication
) -> tuple[ForgetFlows, ...]:
    stays = {single for each in after for single in each.singly()}
    gone = [single for each in before for single in each.singly() if single not in stays]
    return tuple(
        ForgetFlows(
            why="--publish-rm without --keep-flows",
            ports=tuple((protocol, port) for protocol, _address, port, _inner in each.ports),
            target=target,
        )
        for each in gone
        if isinstance(each, PublishPorts)
        for target in filter(None, (each.target, each.target6))
    )
