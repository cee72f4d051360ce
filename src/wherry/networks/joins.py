"""Namespaces joined to networks: links, addresses, the way out and its ports; and the reverse."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence

from wherry.kit.aio import OffloadPool
from wherry.kit.values import dataclass, field
from wherry.linux.id_maps import IdMap
from wherry.model.errors.containers import StartFailed
from wherry.model.ids import ContainerId
from wherry.model.networks import EndpointStatus, Network
from wherry.networks import connections
from wherry.networks.drivers import inside
from wherry.networks.endpoint_choices import way_out_of
from wherry.networks.made_networks import MadeNetworks
from wherry.networks.sandboxes import NamespaceJobs
from wherry.networks.segments.departures import Departures
from wherry.operations import journal as journals
from wherry.operations.plan import Journal, Operation, OperationFailed, Plan

_log = logging.getLogger(__name__)

_LINGER_S = 0.3
"""How long after a container's end its veth pair may live before we delete it ourselves."""


@dataclass(slots=True)
class Attached:
    """How a container is connected now."""

    namespace_path: str
    """Empty for the host's."""
    endpoints: list[EndpointStatus] = field(default_factory=list)

    @property
    def way_out(self) -> EndpointStatus | None:
        """The endpoint of the default route, whose addresses published ports lead to."""
        return way_out_of(self.endpoints)


class Joins:
    """What is done inside of namespaces, and to the host's ends of their links."""

    def __init__(
        self,
        *,
        networks: MadeNetworks,
        jobs: NamespaceJobs,
        offload: OffloadPool,
        repair: Callable[[], Awaitable[None]],
    ) -> None:
        """`repair` brings the packet filter's table back when somebody removed it."""
        self._networks = networks
        self._jobs, self._offload, self._repair = jobs, offload, repair
        self._lingering: set[asyncio.Task[None]] = set()
        self._departures = Departures(offload)

    async def close(self) -> None:
        """Leave what lingers to the next daemon."""
        for task in self._lingering:
            task.cancel()
        await self.settled()

    async def settled(self) -> None:
        """Wait until nothing lingers, and what went is gone."""
        await asyncio.gather(*self._lingering, return_exceptions=True)
        await self._departures.settled()

    # -- joining -----------------------------------------------------------------------------

    async def make(
        self,
        attached: Attached,
        id_maps: tuple[IdMap, IdMap],
        *,
        sysctls: Sequence[tuple[str, str]] = (),
    ) -> Journal:
        """Make the namespace and join it to its networks."""
        path = attached.namespace_path
        container_netlink, lines = await self._jobs.make_network_namespace(path, id_maps)
        try:
            journal = await self.join(
                path,
                container_netlink,
                attached.endpoints,
                first=inside.loopback_up(path),
                sysctls=sysctls,
            )
            ways_out = self._ways_out_plan(path, attached.endpoints)
            if ways_out:
                journal += await self._perform(path, container_netlink, ways_out)
        finally:
            os.close(container_netlink)
        return journals.from_json(lines) + journal

    async def make_empty(self, path: str, id_maps: tuple[IdMap, IdMap]) -> Journal:
        """Make a namespace that has its loopback alone. Raises: StepFailed."""
        container_netlink, lines = await self._jobs.make_network_namespace(path, id_maps)
        try:
            done = await self._offload(
                connections.connect,
                (inside.loopback_up(path),),
                namespace_path=path,
                container_netlink=container_netlink,
            )
        except OperationFailed as failed:
            raise connections.as_step_failed(failed) from failed
        finally:
            os.close(container_netlink)
        return journals.from_json(lines) + done

    async def join(
        self,
        path: str,
        container_netlink: int,
        endpoints: Sequence[EndpointStatus],
        *,
        first: Operation | None = None,
        sysctls: Sequence[tuple[str, str]] = (),
    ) -> Journal:
        """Links, then addresses; in between, sysctls of the interfaces, IPv6 among them."""
        links: list[Operation] = [first] if first is not None else []
        addresses: list[Operation] = []
        for each in endpoints:
            made = self._networks.under(each)
            link, address = made.plans(each, path, _why(made.network))
            links += link
            addresses += address
        settings = [
            *(
                (
                    f"net/ipv6/conf/{each.interface}/disable_ipv6",
                    "0",
                    "the interface's network has IPv6",
                )
                for each in endpoints
                if each.ipv6_address or any(":" in address for address in each.link_local)
            ),
            *((name, value, "com.docker.network.endpoint.sysctls") for name, value in sysctls),
        ]
        if not settings:
            return await self._perform(path, container_netlink, (*links, *addresses))
        journal = await self._perform(path, container_netlink, tuple(links))
        for name, value, why in settings:
            lines = await self._jobs.set_sysctl(path, name, value, why=why)
            journal += journals.from_json(lines)
        return journal + await self._perform(path, container_netlink, tuple(addresses))

    # -- leaving -----------------------------------------------------------------------------

    async def end(self, container_id: ContainerId, attached: Attached) -> None:
        """End the namespace; links go with it, in the background."""
        if not attached.namespace_path:
            return
        for endpoint in attached.endpoints:
            if endpoint.is_connected and self._networks.under(endpoint).segment.outlives_namespace:
                await self.delete_link(attached.namespace_path, endpoint)
        way_out = attached.way_out
        publication = (
            self._networks.under(way_out).publication(way_out)
            if way_out is not None and way_out.published
            else ()
        )
        problems = await self._offload(
            connections.disconnect,
            attached.namespace_path,
            publication,
            packet_filter=self._networks.packet_filter,
        )
        for problem in problems:
            _log.warning("networks.detach_incomplete container=%s %s", container_id, problem)
        for endpoint in attached.endpoints:
            if endpoint.is_connected:
                self._delete_if_it_lingers(endpoint)

    async def release_namespace(self, path: str) -> None:
        """Let go of a namespace that nothing was joined to."""
        for problem in await self._offload(connections.disconnect, path):
            _log.warning("networks.detach_incomplete path=%s %s", path, problem)

    async def delete_link(self, path: str, endpoint: EndpointStatus) -> None:
        """Take a link out of a namespace that lives on, perhaps because others share it."""
        link, _addresses = self._networks.under(endpoint).plans(endpoint, path, "")
        host_end = connections.host_interface_name(endpoint.endpoint_id)
        try:
            container_netlink = await self._jobs.open_netlink(path)
        except (OSError, StartFailed):
            # The namespace has gone, and the link with it; or nobody could open it just now.
            await self._offload(connections.delete_lingering, host_end)
            return

        def leave() -> None:
            try:
                problems = connections.undo_inside(link, container_netlink=container_netlink)
            finally:
                os.close(container_netlink)
            for problem in problems:
                _log.warning("networks.link_left path=%s %s", path, problem)

        await self._departures.leave(host_end, leave)

    # -- inside ------------------------------------------------------------------------------

    def _delete_if_it_lingers(self, endpoint: EndpointStatus) -> None:
        interface = connections.host_interface_name(endpoint.endpoint_id)
        task = asyncio.create_task(self._delete_lingering(interface))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def _delete_lingering(self, interface: str) -> None:
        """A namespace that others joined keeps its veth pair: look again a moment later."""
        await asyncio.sleep(_LINGER_S)
        with contextlib.suppress(OSError):
            await self._offload(connections.delete_lingering, interface)

    def _ways_out_plan(self, path: str, endpoints: Sequence[EndpointStatus]) -> Plan:
        """Default routes, and what leads to published ports."""
        connected = [each for each in endpoints if each.is_connected]
        return tuple(
            operation
            for each in connected
            for operation in self._networks.under(each).way_out(each, path)
        )

    async def _perform(self, path: str, container_netlink: int, plan: Plan) -> Journal:
        """Do a plan; once more when our table had been removed."""
        for has_repaired in (False, True):
            try:
                return await self._offload(
                    connections.connect,
                    plan,
                    namespace_path=path,
                    container_netlink=container_netlink,
                    packet_filter=self._networks.packet_filter,
                )
            except OperationFailed as failed:
                if has_repaired or not connections.is_table_missing(failed):
                    raise connections.as_step_failed(failed) from failed
                _log.warning("networks.table_missing")
                await self._repair()
        raise AssertionError("the second attempt returns or raises")


def _why(network: Network) -> str:
    if network.is_builtin:
        return "--network bridge, the default"
    return f"--network {network.name}"
