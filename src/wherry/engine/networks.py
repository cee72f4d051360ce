"""Looking at networks; making them comes with the networks issue."""

from collections.abc import Sequence

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
        """Networks that match. Raises: InvalidValue for an unknown key."""
        unknown = {key for key in filters if key not in FILTER_KEYS}
        if unknown:
            raise InvalidValue(f"invalid filter '{min(unknown)}'")
        return [each for each in self._networks.list() if self._matches(each, filters)]

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

    def _matches(self, network: Network, filters: Filters) -> bool:
        return all(
            any(self._passes(network, key, value) for value in values)
            for key, values in filters.items()
            if values
        )

    def _passes(self, network: Network, key: str, value: str) -> bool:
        match key:
            case "driver":
                return network.driver == value
            case "id":
                return network.id.startswith(value)
            case "name":
                return value in network.name
            case "scope":
                return value == "local"
            case "type":
                return value == "builtin"
            case "label":
                name, separator, wanted = value.partition("=")
                return name in network.labels and (not separator or network.labels[name] == wanted)
            case _:
                return value in ("false", "0")
