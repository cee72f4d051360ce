"""Changes of a running container's networks that a daemon did not live to record, taken back.

A connection, a disconnection, a port more or less: the kernel is changed first, the record after.
A daemon that dies in between leaves a link that nobody knows, has taken one that is on record, or
has moved the way out. At boot the record is what counts: whoever asked was told nothing yet, and
may ask again. Links to bridges are looked for on the host, where they have an end; ports of the
host's links inside, where they are marked as ours (`child_links.GROUP`); what plugins were told is
noted (`plugin_endpoints`). Entries of the packet filter are compared elsewhere (`filter_repair`).
"""

import logging
import os
from collections.abc import Collection, Sequence

from wherry.kit.aio import OffloadPool
from wherry.kit.values import replace
from wherry.model.errors import WherryError
from wherry.model.errors.containers import StartFailed
from wherry.model.networks import EndpointStatus
from wherry.networks import connections
from wherry.networks.connections import host_interface_name
from wherry.networks.drivers import inside
from wherry.networks.joins import Attached, Joins
from wherry.networks.made_network import MadeNetwork
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.sandboxes import NamespaceJobs

_log = logging.getLogger(__name__)


class HalfChanges:
    """Compares links and ways out with what is on record."""

    def __init__(
        self,
        *,
        networks: MadeNetworks,
        joins: Joins,
        jobs: NamespaceJobs,
        offload: OffloadPool,
    ) -> None:
        self._networks, self._joins = networks, joins
        self._jobs, self._offload = jobs, offload

    async def take_back(self, living: Collection[Attached]) -> None:
        """Have each container joined to the networks of its record and to no others."""
        bridges = [each.segment.bridge.name for each in self._networks if each.segment.bridge]
        present = await self._offload(connections.ports_of_bridges, bridges)
        recorded = {
            host_interface_name(endpoint.endpoint_id)
            for each in living
            for endpoint in self._on_bridges(each)
        }
        strays = present - recorded
        for stray in sorted(strays):
            _log.warning("networks.half_joined interface=%s", stray)
            await self._offload(connections.delete_lingering, stray)
        await self._give_back_to_plugins(living)
        has_children = any(_is_seen_inside(each) for each in self._networks)
        for each in living:
            lost = [
                endpoint
                for endpoint in self._on_bridges(each)
                if host_interface_name(endpoint.endpoint_id) not in present
            ]
            if each.namespace_path and (lost or strays or has_children or len(each.endpoints) > 1):
                await self._mend(each, lost)

    async def _give_back_to_plugins(self, living: Collection[Attached]) -> None:
        """What plugins know of and nobody is on record to have."""
        recorded = {one.endpoint_id for each in living for one in each.endpoints}
        for asked in await self._offload(self._networks.asked.all):
            endpoint, made = asked.endpoint, self._networks.find(asked.endpoint.network_id)
            if endpoint.endpoint_id in recorded:
                continue
            _log.warning("networks.half_joined endpoint=%s", endpoint.endpoint_id)
            if made is None:
                await self._offload(self._networks.asked.forget, endpoint.endpoint_id)
                continue
            await self._joins.delete_link(asked.namespace_path, endpoint)
            await self._offload(made.release, endpoint)

    def _on_bridges(self, attached: Attached) -> list[EndpointStatus]:
        return [each for each, made in self._joined(attached) if made.segment.bridge is not None]

    def _joined(self, attached: Attached) -> list[tuple[EndpointStatus, MadeNetwork]]:
        found = ((each, self._networks.find(each.network_id)) for each in attached.endpoints)
        return [
            (endpoint, made)
            for endpoint, made in found
            if attached.namespace_path and endpoint.is_connected and made is not None
        ]

    async def _mend(self, attached: Attached, lost: list[EndpointStatus]) -> None:
        path = attached.namespace_path
        try:
            container_netlink = await self._jobs.open_netlink(path)
        except (OSError, StartFailed) as problem:  # The namespace may have gone meanwhile.
            _log.warning("networks.not_mended path=%s problem=%s", path, problem)
            return
        try:
            lost += await self._without_strays(attached, container_netlink)
            if lost:
                _log.warning("networks.half_left path=%s links=%d", path, len(lost))
                await self._joins.join(
                    path, container_netlink, await self._renewed(attached, lost)
                )
            await self._mend_ways_out(attached, container_netlink)
        except (OSError, WherryError) as problem:
            _log.warning("networks.not_mended path=%s problem=%s", path, problem)
        finally:
            os.close(container_netlink)

    async def _renewed(
        self, attached: Attached, lost: Sequence[EndpointStatus]
    ) -> Sequence[EndpointStatus]:
        """Endpoints that can be joined again: those of plugins may be others than before."""
        path = attached.namespace_path
        renewed = {
            each.endpoint_id: await self._offload(self._networks.under(each).renew, each, path)
            for each in lost
        }
        attached.endpoints = [renewed.get(x.endpoint_id, x) for x in attached.endpoints]
        return tuple(renewed.values())

    async def _without_strays(
        self, attached: Attached, container_netlink: int
    ) -> list[EndpointStatus]:
        """Links that are seen from inside alone: strays go, and those that are lost are told."""
        children = [each for each, made in self._joined(attached) if _is_seen_inside(made)]
        names, ours = await self._offload(connections.links_inside, container_netlink)
        for stray in sorted(ours - {each.interface for each in children}):
            _log.warning("networks.half_joined path=%s link=%s", attached.namespace_path, stray)
            await self._offload(
                connections.delete_inside, stray, container_netlink=container_netlink
            )
        return [each for each in children if each.interface and each.interface not in names]

    async def _mend_ways_out(self, attached: Attached, container_netlink: int) -> None:
        path = attached.namespace_path
        ours = [each for each, _made in self._joined(attached)]
        leading = [replace(each, is_way_out=True) for each in ours if not each.is_way_out]
        await self._offload(
            connections.have_routes,
            tuple(step for each in ours for step in inside.way_out_plan(each, path)),
            instead_of=tuple(step for each in leading for step in inside.way_out_plan(each, path)),
            container_netlink=container_netlink,
        )


def _is_seen_inside(made: MadeNetwork) -> bool:
    """Whether the links of a network are looked for in the namespaces that they lead from."""
    return made.segment.is_inside_alone or made.segment.is_lent
