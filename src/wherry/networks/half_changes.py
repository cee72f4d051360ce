"""Changes of a running container's networks that a daemon did not live to record, taken back.

A connection, a disconnection, a port more or less: the kernel is changed first, the record after.
A daemon that dies in between leaves a link that nobody knows, has taken one that is on record, or
has moved the way out. At boot the record is what counts: whoever asked was told nothing yet, and
may ask again. Entries of the packet filter are compared elsewhere (`filter_repair`).
"""

import logging
import os
from collections.abc import Collection

from wherry.kit.aio import OffloadPool
from wherry.kit.values import replace
from wherry.model.errors import StartFailed, StepFailed
from wherry.model.networks import EndpointStatus
from wherry.networks import connections
from wherry.networks.connections import host_interface_name
from wherry.networks.drivers import inside
from wherry.networks.joins import Attached, Joins
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
            for endpoint in self._bridged(each)
        }
        strays = present - recorded
        for stray in sorted(strays):
            _log.warning("networks.half_joined interface=%s", stray)
            await self._offload(connections.delete_lingering, stray)
        for each in living:
            lost = [
                endpoint
                for endpoint in self._bridged(each)
                if host_interface_name(endpoint.endpoint_id) not in present
            ]
            if lost or strays or len(each.endpoints) > 1:
                await self._mend(each, lost)

    def _bridged(self, attached: Attached) -> list[EndpointStatus]:
        return [
            each
            for each in attached.endpoints
            if attached.namespace_path
            and each.is_connected
            and (made := self._networks.find(each.network_id)) is not None
            and made.segment.bridge is not None
        ]

    async def _mend(self, attached: Attached, lost: list[EndpointStatus]) -> None:
        path = attached.namespace_path
        bridged = self._bridged(attached)
        if not bridged:
            return
        try:
            container_netlink = await self._jobs.open_netlink(path)
        except (OSError, StartFailed):
            return  # the namespace has gone
        try:
            if lost:
                _log.warning("networks.half_left path=%s links=%d", path, len(lost))
                await self._joins.join(path, container_netlink, lost)
            leading = [replace(each, is_way_out=True) for each in bridged if not each.is_way_out]
            await self._offload(
                connections.have_routes,
                tuple(step for each in bridged for step in inside.way_out_plan(each, path)),
                instead_of=tuple(
                    step for each in leading for step in inside.way_out_plan(each, path)
                ),
                container_netlink=container_netlink,
            )
        except (OSError, StepFailed) as problem:
            _log.warning("networks.not_mended path=%s problem=%s", path, problem)
        finally:
            os.close(container_netlink)
