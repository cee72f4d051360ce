"""Which ports a container publishes after an update: at once, and at every start to come."""

from collections.abc import Sequence

from wherry.engine.containers.attach_requests import AttachRequests
from wherry.engine.paths import ContainerPaths
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.values import replace
from wherry.model.containers import Container, NetworkSpec
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import UpdateRefused
from wherry.model.networks import (
    NetworkModeKind,
    PortBinding,
    PortRemoval,
    PublishedPort,
)
from wherry.model.updates import ContainerChanges
from wherry.networks import Networks
from wherry.operations.journal_files import read_journal, write_journal
from wherry.operations.network.port_entries import OpenPorts, PublishPorts
from wherry.operations.plan import Journal

_WITHOUT_PORTS = (NetworkModeKind.HOST, NetworkModeKind.NONE, NetworkModeKind.CONTAINER)


class PublishedPorts:
    """Takes ports and gives ports."""

    def __init__(
        self,
        *,
        networks: Networks,
        attach_requests: AttachRequests,
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._networks, self._attach_requests = networks, attach_requests
        self._paths, self._offload = paths, offload

    async def changed(
        self, container: Container, changes: ContainerChanges, undo: UndoStack
    ) -> Container:
        """The container with other ports, which lead to it already if it runs.

        Raises: InvalidValue, UpdateRefused, PortInUse, FeatureMissing, StepFailed.
        """
        if not (changes.published or changes.unpublished):
            return container
        _check(container)
        before = tuple(port for each in container.endpoints for port in each.published)
        kept = _kept(container, before, changes.unpublished)
        gone = [each for each in before if each not in kept]
        network, added = _changed(container.spec.network, changes, gone)
        after = replace(container, spec=replace(container.spec, network=network))
        if not container.is_alive:
            return after
        request = self._attach_requests.of(after)
        endpoints, journal = await self._networks.republish(
            request, kept=kept, added=added, keeps_flows=changes.keeps_flows
        )
        undo.push(self._networks.republish, request, kept=before, added=(), keeps_flows=True)
        await self._offload(self._tell, container, journal)
        return replace(after, endpoints=endpoints)

    def _tell(self, container: Container, journal: Journal) -> None:
        """Have `explain` tell what leads there now, instead of what did at the start."""
        path = self._paths.network_journal(container.id)
        entries = read_journal(path)
        if entries is not None:
            others = [x for x in entries if not isinstance(x.operation, PublishPorts | OpenPorts)]
            write_journal(path, [*others, *journal])


def _check(container: Container) -> None:
    kind = container.spec.network.mode.kind
    if kind in _WITHOUT_PORTS:
        raise UpdateRefused(
            container.id, f"ports of a container with --network {kind.value} are not published"
        )


def _kept(
    container: Container, published: Sequence[PublishedPort], removals: Sequence[PortRemoval]
) -> tuple[PublishedPort, ...]:
    """What stays published. Raises: InvalidValue for a removal that fits nothing."""
    wished = container.spec.network.bindings
    for removal in removals:
        is_there = any(_is_meant(removal, each) for each in published) or any(
            _is_meant(removal, each) for each in wished
        )
        if not is_there:
            raise InvalidValue(
                f"container {container.name} publishes nothing at port {_shown(removal)}"
            )
    # A port that no host port leads to goes with the last wish for it.
    ends = {each.port for each in wished if any(_is_meant(x, each) for x in removals)}
    stays = {each.port for each in wished if not any(_is_meant(x, each) for x in removals)}
    return tuple(
        each
        for each in published
        if not any(_is_meant(removal, each) for removal in removals)
        and not (each.host_port == 0 and each.port in ends - stays)
    )


def _changed(
    network: NetworkSpec, changes: ContainerChanges, gone: Sequence[PublishedPort]
) -> tuple[NetworkSpec, tuple[PortBinding, ...]]:
    """The wish for starts to come, and what is new of it.

    `gone` are ports that led to the container until now. Who asks for a port of the host that is
    there already has it; one of chance is another each time.
    """
    bindings = network.bindings
    if network.publishes_all and gone:
        bound = {each.port for each in bindings}
        bindings += tuple(PortBinding(port=each) for each in network.exposed if each not in bound)
    kept = tuple(
        each
        for each in bindings
        if not any(_is_meant(removal, each) for removal in changes.unpublished)
        and not any(_led_to(each, port) for port in gone)
    )
    certain = dict.fromkeys(x for x in changes.published if x.host_port and x not in kept)
    added = (*certain, *(each for each in changes.published if not each.host_port))
    bindings = (*kept, *added)
    is_whole = network.publishes_all and not gone
    return replace(network, bindings=bindings, publishes_all=is_whole), added


def _is_meant(removal: PortRemoval, port: PublishedPort | PortBinding) -> bool:
    return removal.fits(port.host_address, port.host_port, port.port)


def _led_to(binding: PortBinding, published: PublishedPort) -> bool:
    """Whether a wish that left the host's port open led to this one."""
    is_open = binding.host_port == 0 or binding.host_port_end
    first, last = binding.host_port, binding.host_port_end or 65535
    return (
        bool(is_open)
        and binding.port == published.port
        and binding.host_address in ("", published.host_address)
        and first <= published.host_port <= last
    )


def _shown(removal: PortRemoval) -> str:
    address = f"{removal.host_address}:" if removal.host_address else ""
    inner = f":{removal.port.number}" if removal.port else ""
    return f"{address}{removal.host_port}{inner}/{removal.protocol}"
