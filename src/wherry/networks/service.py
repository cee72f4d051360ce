"""The face of networking: attach and detach containers, list networks, recover at boot."""

import contextlib
import logging
import os
from collections.abc import Set
from dataclasses import dataclass

from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.random_ids import new_id
from wherry.model.containers import NetworkSpec
from wherry.model.errors import NetworkNotFound
from wherry.model.ids import ContainerId, EndpointId
from wherry.model.networks import EndpointStatus, Network, NetworkModeKind
from wherry.networks import connections, default_networks
from wherry.networks.bridge_network import BridgeNetwork
from wherry.networks.drivers import bridge as bridge_driver
from wherry.networks.name_files import (
    HOSTNAME,
    HOSTS,
    RESOLV_CONF,
    write_host_files,
    write_private_files,
)
from wherry.networks.port_keeper import PortKeeper
from wherry.networks.sandboxes import AttachRequest, NamespaceJobs, Sandbox
from wherry.networks.uninterrupted import to_its_end
from wherry.operations import journal as journals
from wherry.operations.plan import Journal, OperationFailed

_log = logging.getLogger(__name__)

NO_BRIDGE = "none"
_NAMESPACES = "netns"


@dataclass(frozen=True, slots=True)
class _Attached:
    """How a container is connected."""

    namespace_path: str
    """Empty for the host's."""
    is_on_bridge: bool


class Networks:
    """Every container's network.

    The engine calls `attach` and `detach` of one container one after the other; those of
    different containers may overlap.
    """

    def __init__(
        self,
        *,
        exec_root: str,
        bridge: str,
        bip: str,
        jobs: NamespaceJobs,
        port_keeper: PortKeeper,
        offload: OffloadPool,
        clock: Clock,
        engine_id: str,
    ) -> None:
        """`bridge` empty: docker0, or wherry0 where that name is taken; `none`: no bridge.

        `bip` is the bridge's address with its prefix length; empty: 172.17.0.1/16, or the next
        of the default pools that the host has no route into.
        """
        self._namespaces = os.path.join(exec_root, _NAMESPACES)
        self._jobs, self._offload = jobs, offload
        self._clock, self._engine_id = clock, engine_id
        self._bridge: BridgeNetwork | None = None
        if bridge != NO_BRIDGE:
            self._bridge = BridgeNetwork(
                name=bridge,
                bip=bip,
                alias=f"wherry {engine_id}",
                jobs=jobs,
                port_keeper=port_keeper,
                offload=offload,
            )
        self._gateway = ""
        self._networks: tuple[Network, ...] = ()
        self._attached: dict[ContainerId, _Attached] = {}

    # -- lifecycle ---------------------------------------------------------------------------

    async def open(self) -> None:
        """Bring the bridge, the packet filter and netd up, or repair them.

        Raises: InvalidField; StepFailed; AddressPoolExhausted.
        """
        os.makedirs(self._namespaces, mode=0o711, exist_ok=True)
        settings = await self._bridge.open() if self._bridge else None
        self._gateway = str(settings.address.ip) if settings else ""
        self._networks = default_networks.default_networks(
            settings, engine_id=self._engine_id, created_at_ns=self._clock.now_ns()
        )

    async def close(self) -> None:
        """Let go; containers that live on keep their network."""
        if self._bridge:
            await self._bridge.close()

    async def remove_everything(self) -> None:
        """End netd and remove the bridge, the table and every namespace of this engine.

        Raises: StepFailed.
        """
        for container_id in tuple(self._attached):
            await self.detach(container_id)
        await self.sweep(frozenset())
        if self._bridge:
            await self._bridge.remove()
        with contextlib.suppress(OSError):
            os.rmdir(self._namespaces)

    # -- containers --------------------------------------------------------------------------

    async def attach(self, request: AttachRequest) -> Sandbox:
        """Give a container its network; nothing is left when it fails.

        Raises: PortInUse, AddressPoolExhausted, NetworkNotFound, InvalidField, FeatureMissing,
        StepFailed.
        """
        if request.joined is not None:
            return Sandbox(
                namespace_path=request.joined.namespace_path,
                endpoints=(),
                hosts_path=request.joined.hosts_path,
                resolv_conf_path=request.joined.resolv_conf_path,
                hostname_path=request.joined.hostname_path,
            )
        await self.detach(request.container_id)
        network = self._network_of(request.network)
        path = self._namespace_path(request.container_id)
        match network.driver:
            case "host":
                await self._offload(write_host_files, request, gateway=self._gateway)
                path, endpoint, journal = "", _endpoint_without_address(network), []
            case "null":
                journal = await self._attach_to_nothing(request, path)
                endpoint = _endpoint_without_address(network)
            case _:
                assert self._bridge is not None, "only a bridge makes such a network"
                endpoint, journal = await self._bridge.attach(request, network, path)
        self._attached[request.container_id] = _Attached(path, bool(endpoint.address))
        return _sandbox(path, (endpoint,), request.files_directory, journal)

    async def detach(self, container_id: ContainerId) -> None:
        """Take a container's network away. Doing so twice is no error."""
        attached = self._attached.pop(container_id, None)
        if attached is None:
            return
        if attached.is_on_bridge and self._bridge:
            await self._bridge.detach(container_id, attached.namespace_path)
        elif attached.namespace_path:
            await self._release_namespace(attached.namespace_path)

    async def restore(
        self,
        container_id: ContainerId,
        endpoints: tuple[EndpointStatus, ...],
        files_directory: str,
    ) -> Sandbox:
        """At boot: take over the addresses and ports of a container that lives.

        A container in another's namespace has no endpoints and nothing to restore; its sandbox
        is the other's. Raises: StepFailed.
        """
        path = self._namespace_path(container_id)
        if not await self._offload(os.path.exists, path):
            path = ""
        on_bridge = [each for each in endpoints if each.address]
        for endpoint in on_bridge:
            if self._bridge:
                await self._bridge.restore(container_id, endpoint)
        self._attached[container_id] = _Attached(path, bool(on_bridge))
        return _sandbox(path, endpoints, files_directory, [])

    async def sweep(self, living: Set[ContainerId]) -> None:
        """At boot, after every `restore`: remove what belongs to no living container.

        Ports that living containers lost meanwhile are published again. Raises: StepFailed.
        """
        for name in await self._offload(os.listdir, self._namespaces):
            if name not in living:
                await self.detach(ContainerId(name))
                await self._release_namespace(self._namespace_path(ContainerId(name)))
        if self._bridge:
            await self._bridge.sweep(living)

    async def _attach_to_nothing(self, request: AttachRequest, path: str) -> Journal:
        await self._offload(write_private_files, request, address="", gateway=self._gateway)
        async with UndoStack() as undo:
            undo.push(self._release_namespace, path)
            journal = await to_its_end(self._make_empty_namespace(path))
            undo.keep()
        return journal

    async def _make_empty_namespace(self, path: str) -> Journal:
        container_netlink, lines = await self._jobs.make_network_namespace(path)
        try:
            done = await self._offload(
                connections.connect,
                (bridge_driver.loopback_up(path),),
                namespace_path=path,
                container_netlink=container_netlink,
            )
        except OperationFailed as failed:
            raise connections.as_step_failed(failed) from failed
        finally:
            os.close(container_netlink)
        return journals.from_json(lines) + done

    async def _release_namespace(self, path: str) -> None:
        for problem in await self._offload(connections.disconnect, path):
            _log.warning("networks.detach_incomplete path=%s %s", path, problem)

    def _namespace_path(self, container_id: ContainerId) -> str:
        return os.path.join(self._namespaces, container_id)

    # -- networks ----------------------------------------------------------------------------

    def list(self) -> tuple[Network, ...]:
        """bridge (unless disabled), host and none."""
        return self._networks

    def get(self, reference: str) -> Network:
        """A network by name, id or unambiguous prefix of the id. Raises: NetworkNotFound."""
        return default_networks.find_network(self._networks, reference)

    def _network_of(self, spec: NetworkSpec) -> Network:
        if spec.is_disabled:
            return self.get(default_networks.NONE)
        match spec.mode.kind:
            case NetworkModeKind.DEFAULT:
                has_bridge = self._bridge is not None
                return self.get(default_networks.BRIDGE if has_bridge else default_networks.NONE)
            case NetworkModeKind.NONE:
                return self.get(default_networks.NONE)
            case NetworkModeKind.HOST:
                return self.get(default_networks.HOST)
            case NetworkModeKind.NETWORK:
                return self.get(spec.mode.reference)
            case NetworkModeKind.CONTAINER:  # the caller knows the other one: `joined`
                raise NetworkNotFound(spec.mode.reference)


def _endpoint_without_address(network: Network) -> EndpointStatus:
    return EndpointStatus(
        endpoint_id=EndpointId(new_id()), network_id=network.id, network_name=network.name
    )


def _sandbox(
    path: str,
    endpoints: tuple[EndpointStatus, ...],
    files_directory: str,
    journal: Journal,
) -> Sandbox:
    return Sandbox(
        namespace_path=path,
        endpoints=endpoints,
        hosts_path=os.path.join(files_directory, HOSTS),
        resolv_conf_path=os.path.join(files_directory, RESOLV_CONF),
        hostname_path=os.path.join(files_directory, HOSTNAME),
        journal=journal,
    )
