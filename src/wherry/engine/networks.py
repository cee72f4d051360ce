"""Looking at networks; making them comes with the networks issue."""

from collections.abc import Sequence

from wherry.engine.filters import FilterReader
from wherry.engine.records import ContainerRecords
from wherry.model.containers import Container
from wherry.model.errors import InvalidValue
from wherry.model.networks import Network
from wherry.model.queries import Filters
from wherry.networks import Networks

FILTER_KEYS = frozenset({"driver", "id", "name", "scope", "type", "label", "dangling"})


class NetworkQueries:
    """Answers about networks."""

    def __init__(self, networks: Networks, records: ContainerRecords) -> None:
        self._networks = networks
        self._records = records

    async def list(self, filters: Filters) -> Sequence[Network]:
        """Networks that match. Raises: InvalidValue."""
        given = FilterReader(filters, FILTER_KEYS)
        kinds = _kinds(given)
        return [each for each in self._networks.list() if _passes(each, given, kinds)]

    async def get(self, reference: str) -> Network:
        """One network by name, id or prefix. Raises: NetworkNotFound."""
        return self._networks.get(reference)

    async def containers_on(self, network: Network) -> Sequence[Container]:
        """The running containers that are connected to it."""
        return [
            each
            for each in self._records.all()
            if each.is_alive
            and any(endpoint.network_id == network.id for endpoint in each.endpoints)
        ]


def _passes(network: Network, given: FilterReader, kinds: frozenset[str]) -> bool:
    """Networks that exist are the engine's own: local, built in, and never dangling."""
    return (
        given.claim("dangling") is not True
        and ("type" not in given or "builtin" in kinds)
        and ("driver" not in given or network.driver in given.values("driver"))
        and ("scope" not in given or "local" in given.values("scope"))
        and ("id" not in given or _is_found(given, "id", network.id))
        and ("name" not in given or _is_found(given, "name", network.name))
        and given.labels_match(network.labels)
    )


def _is_found(given: FilterReader, key: str, text: str) -> bool:
    return text in given.values(key) or any(each.search(text) for each in given.patterns(key))


def _kinds(given: FilterReader) -> frozenset[str]:
    """The values of `type`. Raises: InvalidValue."""
    for kind in given.values("type"):
        if kind not in ("builtin", "custom"):
            raise InvalidValue(f"invalid filter: 'type'='{kind}'")
    return frozenset(given.values("type"))
