"""The host ports of containers: reserved with netd before anything leads to them."""

import errno
import logging

from wherry.kit.aio import OffloadPool
from wherry.kit.random_ids import short_id
from wherry.model.errors import HostLacks, StepFailed
from wherry.model.errors.networks import PortInUse
from wherry.model.ids import ContainerId
from wherry.netd.protocol import Held, PortTaken, Wish
from wherry.networks.ports.keeper import PortKeeper
from wherry.networks.ports.owner import describe_port_owner
from wherry.networks.ports.published_ports import are_held
from wherry.networks.uninterrupted import to_its_end

_log = logging.getLogger(__name__)

_UNPUBLISHED = "driver failed programming external connectivity"


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
        self, container_id: ContainerId, name: str, *, target: str, wishes: tuple[Wish, ...]
    ) -> list[int]:
        """Hold a port for each wish, or none at all. Raises: PortInUse, StepFailed."""
        if not wishes:
            return []
        return await to_its_end(self._reserve(container_id, name, target, wishes))

    async def _reserve(
        self, container_id: ContainerId, name: str, target: str, wishes: tuple[Wish, ...]
    ) -> list[int]:
        try:
            ports = await self._offload(self._keeper.reserve, container_id, target, wishes)
        except PortTaken as taken:
            raise await self._port_in_use(container_id, name, taken) from taken
        except OSError as error:
            if error.errno == errno.EPROTONOSUPPORT:
                raise HostLacks(
                    "failed to bind host port: protocol not supported: publishing sctp ports",
                    "a kernel with SCTP",
                ) from error
            where = f"failed to bind host port for {error.filename}"
            step = f"{_UNPUBLISHED}: {where}" if error.filename else "reserve host ports"
            raise StepFailed(step=step, cause=_words(error)) from error
        self._names[container_id] = name
        return ports

    async def hold_again(
        self, container_id: ContainerId, *, target: str, wishes: tuple[Wish, ...]
    ) -> None:
        """At boot: ports that a living container has are held. Raises: StepFailed."""
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
        *,
        target: str,
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
            return await self.reserve(container_id, name, target=target, wishes=after)
        except (PortInUse, StepFailed):
            await self.hold_again(container_id, target=target, wishes=before)
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

    async def _port_in_use(
        self, container_id: ContainerId, name: str, taken: PortTaken
    ) -> PortInUse:
        if taken.holder:
            holder = ContainerId(taken.holder)
            known = name if holder == container_id else self._names.get(holder)
            owner = f"container {known or short_id(holder)}"
        elif not taken.port:
            owner = "other programs, every port of the range"
        else:
            owner = await self._offload(describe_port_owner, taken.protocol, taken.port)
        return PortInUse(
            protocol=taken.protocol, address=taken.address, port=taken.port, owner=owner
        )


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
