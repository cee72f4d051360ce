"""The face of networking: attach and detach containers, list networks, recover at boot."""

from collections.abc import Set

from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.model.ids import ContainerId
from wherry.model.networks import EndpointStatus, Network
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs, Sandbox


class Networks:
    """Every container's network. Signatures first; see `netd` for `port_keeper`."""

    def __init__(
        self,
        *,
        exec_root: str,
        data_root: str,
        bridge: str,
        bip: str,
        jobs: NamespaceJobs,
        port_keeper: "PortKeeper",
        offload: OffloadPool,
        clock: Clock,
        engine_id: str,
    ) -> None:
        """`bridge` empty: docker0, or wherry0 where that name is taken; `none`: no bridge.

        `bip` is the bridge's address with its prefix length; empty: 172.17.0.1/16, or the next
        of the default pools that the host has no route into.
        """
        raise NotImplementedError

    async def open(self) -> None:
        """Bring the bridge, the packet filter and netd up, or repair them."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go; containers that live on keep their network."""
        raise NotImplementedError

    async def attach(self, request: AttachRequest) -> Sandbox:
        """Give a container its network; nothing is left when it fails.

        Raises: PortInUse, AddressPoolExhausted, NetworkNotFound, InvalidField, StepFailed.
        """
        raise NotImplementedError

    async def detach(self, container_id: ContainerId) -> None:
        """Take a container's network away. Doing so twice is no error."""
        raise NotImplementedError

    async def restore(
        self, container_id: ContainerId, endpoints: tuple[EndpointStatus, ...]
    ) -> None:
        """At boot: take over the addresses and ports of a container that lives."""
        raise NotImplementedError

    async def sweep(self, living: Set[ContainerId]) -> None:
        """At boot, after every `restore`: remove what belongs to no living container."""
        raise NotImplementedError

    def list(self) -> tuple[Network, ...]:
        """bridge (unless disabled), host and none."""
        raise NotImplementedError

    def get(self, reference: str) -> Network:
        """A network by name, id or unambiguous prefix of the id. Raises: NetworkNotFound."""
        raise NotImplementedError

    async def remove_everything(self) -> None:
        """End netd and remove the bridge, the table and every namespace of this engine."""
        raise NotImplementedError
