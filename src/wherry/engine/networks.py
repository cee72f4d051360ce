"""Networks as a user sees them: made, looked at, joined, left, removed."""

import logging
from collections.abc import Sequence

from wherry.engine.containers.attach_requests import AttachRequests
from wherry.engine.events import EventLog
from wherry.engine.filters import FilterReader
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, UndoStack
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.errors import InvalidValue, WherryError
from wherry.model.errors.containers import ContainerNotFound
from wherry.model.errors.networks import (
    AlreadyConnected,
    EndpointNotFound,
    NetworkInUse,
    NotConnected,
)
from wherry.model.ids import EndpointId
from wherry.model.networks import EndpointStatus, EndpointWish, Network, NetworkRequest
from wherry.model.queries import Filters
from wherry.networks import Networks, check_wish

FILTER_KEYS = frozenset({"driver", "id", "name", "scope", "type", "label", "dangling"})

_log = logging.getLogger(__name__)


class NetworkVerbs:
    """Everything that one can do with networks."""

    def __init__(
        self,
        *,
        networks: Networks,
        records: ContainerRecords,
        locks: KeyedLock,
        attach_requests: AttachRequests,
        events: EventLog,
    ) -> None:
        self._networks = networks
        self._records = records
        self._locks = locks
        self._attach_requests = attach_requests
        self._events = events

    # -- looking -----------------------------------------------------------------------------

    async def list(self, filters: Filters) -> Sequence[Network]:
        """Networks that match. Raises: InvalidValue."""
        given = FilterReader(filters, FILTER_KEYS)
        kinds = _kinds(given)
        return [each for each in self._networks.list() if self._passes(each, given, kinds)]

    async def get(self, reference: str) -> Network:
        """One network by name, id or prefix. Raises: NetworkNotFound."""
        return self._networks.get(reference)

    async def containers_on(self, network: Network) -> Sequence[Container]:
        """The running containers that are connected to it."""
        return self._on(network)

    # -- changing ----------------------------------------------------------------------------

    async def create(self, request: NetworkRequest) -> Network:
        """Make a network. Raises: InvalidValue, NetworkNameTaken, SubnetTaken, HostLacks."""
        network = await self._networks.create(request)
        self._tell("create", network)
        return network

    async def remove(self, reference: str) -> None:
        """Remove a network that no running container is on.

        Raises: NetworkNotFound, NetworkIsBuiltin, NetworkInUse.
        """
        network = self._networks.get(reference)
        holders = self._on(network) if not network.is_builtin else []
        if holders:
            raise NetworkInUse(network.name, network.id, _listed(network, holders))
        await self._networks.remove(network)
        self._tell("destroy", network)

    async def connect(self, reference: str, container: str, wish: EndpointWish) -> None:
        """Connect a container, now or at its next start.

        Raises: NetworkNotFound, ContainerNotFound, AlreadyConnected, ConnectionRefused,
        InvalidValue, AddressTaken.
        """
        network = self._networks.get(reference)
        wish = replace(wish, network=network.name)
        check_wish(network, wish)
        container_id = self._records.find(container).id
        async with self._locks.held(container_id), UndoStack() as undo:
            found = self._records.find(container_id)
            wished = _with_wish(found, wish)
            if found.is_alive:
                request = self._attach_requests.of(wished)
                endpoints = await self._networks.connect(request, wish)
                undo.push(self._networks.disconnect, request, network)
            else:
                self._networks.check_may_connect(found.spec.network, found.endpoints, network)
                if any(_is_of(each, network) for each in found.endpoints):
                    raise AlreadyConnected(found.name, network.name)
                endpoints = (*found.endpoints, _unconnected(network))
            await self._records.replace(replace(wished, endpoints=endpoints))
            undo.keep()
        self._tell("connect", network, container=container_id)

    async def disconnect(self, reference: str, container: str, *, is_forced: bool) -> None:
        """Take a container off a network. Raises: NetworkNotFound, ContainerNotFound, …

        With `is_forced`, a container that is not there may have left an endpoint; none of ours
        does. Raises: EndpointNotFound.
        """
        network = self._networks.get(reference)
        try:
            container_id = self._records.find(container).id
        except ContainerNotFound as error:
            if is_forced:
                raise EndpointNotFound(container) from error
            raise
        async with self._locks.held(container_id):
            found = self._records.find(container_id)
            if not any(_is_of(each, network) for each in found.endpoints):
                raise NotConnected(found.id, network.name, found.is_alive)
            without = _without_wish(found, network)
            if found.is_alive:
                request = self._attach_requests.of(without)
                endpoints = await self._networks.disconnect(request, network)
            else:
                endpoints = tuple(x for x in found.endpoints if not _is_of(x, network))
            await self._records.note(replace(without, endpoints=endpoints))
        self._tell("disconnect", network, container=container_id)

    async def prune(self, given: FilterReader, until_ns: int | None) -> Sequence[str]:
        """Remove users' networks that no running container is on; their names.

        Templates stay: nobody is ever on one.
        """
        removed = []
        for network in self._networks.list():
            is_young = until_ns is not None and network.created_at_ns > until_ns
            if network.is_builtin or network.is_configuration or is_young:
                continue
            if not given.labels_match(network.labels):
                continue
            if not self._on(network) and await self._was_removed(network):
                removed.append(network.name)
        return removed

    async def _was_removed(self, network: Network) -> bool:
        try:
            await self._networks.remove(network)
        except WherryError as error:
            _log.warning("prune.failed network=%s problem=%s", network.id, error)
            return False
        self._tell("destroy", network)
        return True

    # -- inside ------------------------------------------------------------------------------

    def _on(self, network: Network) -> Sequence[Container]:
        return [
            each
            for each in self._records.all()
            if each.is_alive and any(_is_of(endpoint, network) for endpoint in each.endpoints)
        ]

    def _tell(self, action: str, network: Network, **more: str) -> None:
        self._events.publish(
            "network", action, network.id, {"name": network.name, "type": network.driver, **more}
        )

    def _passes(self, network: Network, given: FilterReader, kinds: frozenset[str]) -> bool:
        dangling = given.claim("dangling")
        is_dangling = not network.is_builtin and not self._on(network)
        return (
            (dangling is None or dangling is is_dangling)
            and ("type" not in given or _kind(network) in kinds)
            and ("driver" not in given or network.driver in given.values("driver"))
            and ("scope" not in given or network.scope in given.values("scope"))
            and ("id" not in given or _is_found(given, "id", network.id))
            and ("name" not in given or _is_found(given, "name", network.name))
            and given.labels_match(network.labels)
        )


def _with_wish(container: Container, wish: EndpointWish) -> Container:
    network = container.spec.network
    spec = replace(container.spec, network=replace(network, endpoints=(*network.endpoints, wish)))
    return replace(container, spec=spec)


def _without_wish(container: Container, left: Network) -> Container:
    network = container.spec.network
    kept = tuple(each for each in network.endpoints if each.network not in (left.name, left.id))
    return replace(
        container, spec=replace(container.spec, network=replace(network, endpoints=kept))
    )


def _is_of(endpoint: EndpointStatus, network: Network) -> bool:
    return endpoint.network_id == network.id or endpoint.network_name == network.name


def _unconnected(network: Network) -> EndpointStatus:
    return EndpointStatus(
        endpoint_id=EndpointId(""), network_id=network.id, network_name=network.name
    )


def _listed(network: Network, holders: Sequence[Container]) -> str:
    """Who is on a network, as Docker lists them."""
    return ", ".join(
        f'name:"{container.name}" id:"{endpoint.endpoint_id[:12]}"'
        for container in holders
        for endpoint in container.endpoints
        if _is_of(endpoint, network)
    )


def _is_found(given: FilterReader, key: str, text: str) -> bool:
    return text in given.values(key) or any(each.search(text) for each in given.patterns(key))


def _kind(network: Network) -> str:
    return "builtin" if network.is_builtin else "custom"


def _kinds(given: FilterReader) -> frozenset[str]:
    """The values of `type`. Raises: InvalidValue."""
    for kind in given.values("type"):
        if kind not in ("builtin", "custom"):
            raise InvalidValue(f"invalid filter: 'type'='{kind}'")
    return frozenset(given.values("type"))
