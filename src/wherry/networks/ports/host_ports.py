"""The host ports of containers: reserved with netd before anything leads to them.

What is reserved for an endpoint leads to its IPv4 address, or to its other one if it has none.
"""

import errno
import logging
from collections.abc import Sequence

from wherry.kit.aio import OffloadPool
from wherry.kit.random_ids import short_id
from wherry.kit.urls import with_port
from wherry.model.errors import HostLacks, StepFailed
from wherry.model.errors.networks import PortInUse
from wherry.model.ids import ContainerId
from wherry.model.networks import EndpointStatus
from wherry.netd.protocol import Held, PortTaken, Wish
from wherry.networks.ports.keeper import PortKeeper
from wherry.networks.ports.owner import describe_port_owner
from wherry.networks.ports.published_ports import are_held
from wherry.networks.uninterrupted import to_its_end

_log = logging.getLogger(__name__)

_UNPUBLISHED = "driver failed programming external connectivity on endpoint"


class HostPorts:
    """Who holds which host ports."""

    def __init__(self, keeper: PortKeeper, offload: OffloadPool) -> None:
        self._keeper, self._offload = keeper, offload
        self._names: dict[ContainerId, str] = {}

    async def open(self) -> None:
        """Find what an engine before us reserved. Raises: StepFailed."""
        try:
            await self._offload(self._keeper.open)
        except OSError as error:
            raise StepFailed(step="start netd", cause=_words(error)) from error

    def close(self) -> None:
        """Disconnect; what is held stays held."""
        self._keeper.close()

    async def end(self) -> None:
        """Let go of everything, and leave no process behind."""
        await self._offload(self._keeper.end)

    async def reserve(
        self,
        container_id: ContainerId,
        name: str,
        endpoint: EndpointStatus,
        wishes: tuple[Wish, ...],
    ) -> list[int]:
        """Hold a port for each wish, or none at all. Raises: PortInUse, StepFailed."""
        if not wishes:
            return []
        return await to_its_end(self._reserve(container_id, name, endpoint, wishes))

    async def _reserve(
        self,
        container_id: ContainerId,
        name: str,
        endpoint: EndpointStatus,
        wishes: tuple[Wish, ...],
    ) -> list[int]:
        target, whose = _target(endpoint), f"{name} ({endpoint.endpoint_id})"
        try:
            ports = await self._offload(self._keeper.reserve, container_id, target, wishes)
        except PortTaken as taken:
            owner, is_ours = await self._owner(container_id, name, taken)
            raise PortInUse(
                endpoint=whose,
                address=taken.address,
                port=taken.port,
                leads_to=_leads_to(target, wishes, taken.protocol, taken.address, taken.port),
                owner=owner,
                is_ours=is_ours,
            ) from taken
        except OSError as error:
            if error.errno == errno.EPROTONOSUPPORT:
                raise HostLacks(
                    "failed to bind host port: protocol not supported: publishing sctp ports",
                    "a kernel with SCTP",
                ) from error
            raise StepFailed(
                step=_step(whose, target, wishes, error), cause=_words(error)
            ) from error
        self._names[container_id] = name
        return ports

    async def hold_again(
        self, container_id: ContainerId, endpoint: EndpointStatus, wishes: tuple[Wish, ...]
    ) -> None:
        """At boot: ports that a living container has are held. Raises: StepFailed."""
        target = _target(endpoint)
        try:
            if not are_held(wishes, (await self.owners()).get(container_id, ()), target):
                await self._offload(self._keeper.reserve, container_id, target, wishes)
        except PortTaken as taken:  # netd had ended too, and somebody else was quicker
            _log.warning("networks.port_lost port=%d protocol=%s", taken.port, taken.protocol)
        except OSError as error:
            raise StepFailed(step="hold host ports again", cause=_words(error)) from error

    async def exchange(
        self,
        container_id: ContainerId,
        name: str,
        endpoint: EndpointStatus,
        *,
        before: tuple[Wish, ...],
        after: tuple[Wish, ...],
    ) -> list[int]:
        """Hold other ports than before; those that were held too are never let go.

        Where one can't be had, it is as before. Raises: PortInUse, StepFailed.
        """
        if not after:
            await self.release(container_id)
            return []
        try:
            return await self.reserve(container_id, name, endpoint, after)
        except (PortInUse, StepFailed):
            await self.hold_again(container_id, endpoint, before)
            raise

    async def release(self, container_id: ContainerId) -> None:
        """Let go of all that a container has. Doing so twice is no error."""
        self._names.pop(container_id, None)
        try:
            await self._offload(self._keeper.release, container_id)
        except OSError as error:
            _log.warning("networks.release_failed container=%s %s", container_id, error)

    async def owners(self) -> dict[str, tuple[Held, ...]]:
        """What each container holds. Raises: OSError."""
        return await self._offload(self._keeper.owners)

    async def _owner(
        self, container_id: ContainerId, name: str, taken: PortTaken
    ) -> tuple[str, bool]:
        """Who has a port, and whether that is a container of ours."""
        if taken.holder:
            holder = ContainerId(taken.holder)
            known = name if holder == container_id else self._names.get(holder)
            return f"container {known or short_id(holder)}", True
        if not taken.port:
            return "containers and other programs", False
        return await self._offload(describe_port_owner, taken.protocol, taken.port), False


def _target(endpoint: EndpointStatus) -> str:
    return endpoint.address or endpoint.ipv6_address


def _step(whose: str, target: str, wishes: Sequence[Wish], error: OSError) -> str:
    """What could not be done, in Docker's words; netd tells of `address:port/protocol`."""
    if not error.filename:
        return "reserve host ports"
    place, _slash, protocol = str(error.filename).rpartition("/")
    address, _colon, port = place.rpartition(":")
    leads_to = _leads_to(target, wishes, protocol, address, int(port))
    where = f"{with_port(address, port)}:{leads_to}"
    return f"{_UNPUBLISHED} {whose}: failed to bind host port for {where}"


def _leads_to(
    target: str, wishes: Sequence[Wish], protocol: str, address: str, host_port: int
) -> str:
    """Where a port that can't be had was to lead: address, port and protocol."""
    port = next(
        each.port
        for each in wishes
        if each.protocol == protocol
        and address in each.addresses
        and (not each.first or each.first <= host_port <= each.last)
    )
    return f"{with_port(target, port)}/{protocol}"


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
