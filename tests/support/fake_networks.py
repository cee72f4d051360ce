"""Networks without a kernel: addresses are counted, ports are a dictionary."""

from collections.abc import Sequence, Set
from itertools import count

from wherry.model.errors.networks import NetworkNotFound, PortInUse
from wherry.model.ids import ContainerId, EndpointId, NetworkId
from wherry.model.networks import (
    EndpointStatus,
    Network,
    NetworkModeKind,
    PublishedPort,
)
from wherry.networks import AttachRequest, Sandbox

BRIDGE = Network(id=NetworkId("b" * 64), name="bridge", driver="bridge", created_at_ns=0)
HOST = Network(id=NetworkId("c" * 64), name="host", driver="host", created_at_ns=0)
NONE = Network(id=NetworkId("d" * 64), name="none", driver="null", created_at_ns=0)


class FakeNetworks:
    """Who is attached, and which host ports are taken."""

    def __init__(self) -> None:
        self.attached: dict[ContainerId, AttachRequest] = {}
        self.ports: dict[int, str] = {}
        """Host port to its owner."""
        self._addresses = count(2)

    async def attach(self, request: AttachRequest) -> Sandbox:
        published = []
        for binding in request.network.bindings:
            if binding.host_port in self.ports:
                owner = self.ports[binding.host_port]
                raise PortInUse(
                    endpoint=request.container_name,
                    address="0.0.0.0",
                    port=binding.host_port,
                    leads_to=f"172.17.0.2:{binding.port}",
                    owner=owner,
                    is_ours=False,
                )
            self.ports[binding.host_port] = request.container_id
            published.append(
                PublishedPort(
                    port=binding.port, host_address="0.0.0.0", host_port=binding.host_port
                )
            )
        self.attached[request.container_id] = request
        endpoints: tuple[EndpointStatus, ...] = ()
        if request.network.mode.kind is NetworkModeKind.DEFAULT:
            endpoints = (
                EndpointStatus(
                    endpoint_id=EndpointId("e" * 64),
                    network_id=BRIDGE.id,
                    network_name=BRIDGE.name,
                    address=f"172.17.0.{next(self._addresses)}",
                    published=tuple(published),
                ),
            )
        return Sandbox(
            namespace_path=f"/netns/{request.container_id}",
            endpoints=endpoints,
            hosts_path="/hosts",
            resolv_conf_path="/resolv.conf",
            hostname_path="/hostname",
        )

    async def detach(self, container_id: ContainerId) -> None:
        self.attached.pop(container_id, None)
        for port, owner in tuple(self.ports.items()):
            if owner == container_id:
                del self.ports[port]

    async def give_back(self, endpoints: Sequence[EndpointStatus]) -> None:
        """Nobody has to be told."""

    async def sweep(self, living: Set[ContainerId]) -> None:
        for container_id in self.attached.keys() - living:
            await self.detach(container_id)

    def list(self) -> tuple[Network, ...]:
        return (BRIDGE, HOST, NONE)

    def get(self, reference: str) -> Network:
        for network in self.list():
            if reference in (network.name, network.id):
                return network
        raise NetworkNotFound(reference)
