"""The networks that users made: rows, and all of them in memory.

A network's definition never changes; who is connected is not here (containers know that).
"""

import re
from collections.abc import Iterable

import msgspec

from wherry.model.errors.networks import AmbiguousNetwork, NetworkNameTaken, NetworkNotFound
from wherry.model.ids import NetworkId
from wherry.model.networks import Network
from wherry.networks import plugin_endpoints
from wherry.store import Database, Migration, read_records

ROW_VERSION = 1
MIGRATIONS = (
    Migration(
        room="networks",
        number=1,
        sql="""
        CREATE TABLE networks (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            version INTEGER NOT NULL,
            record BLOB NOT NULL
        ) STRICT;
        """,
    ),
    *plugin_endpoints.MIGRATIONS,
)

_HEXADECIMAL = re.compile(r"[0-9a-f]{1,64}")
_encoder = msgspec.json.Encoder()


class NetworkTable:
    """Every network, built-in ones included. Changes block, and come from one task at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.plugin_endpoints = plugin_endpoints.PluginEndpoints(database)
        """What plugins were asked for on these networks."""
        self._networks: dict[NetworkId, Network] = {}

    def load(self, builtin: Iterable[Network]) -> None:
        """Read all rows, beside the networks that every engine has.

        Raises: StateUnreadable for a row of a newer version.
        """
        self._networks = {each.id: each for each in builtin}
        for _id, network in read_records(self._database, "networks", Network, version=ROW_VERSION):
            self._networks[network.id] = network

    def all(self) -> tuple[Network, ...]:
        """Every network, those that every engine has first."""
        return tuple(self._networks.values())

    def find(self, reference: str) -> Network:
        """A network by id, name, or a prefix of the id that fits one only, in this order.

        Raises: NetworkNotFound, AmbiguousNetwork.
        """
        if reference in self._networks:
            return self._networks[NetworkId(reference)]
        wanted = "bridge" if reference == "default" else reference
        for network in self._networks.values():
            if network.name == wanted:
                return network
        if _HEXADECIMAL.fullmatch(reference):
            fitting = [each for each in self._networks.values() if each.id.startswith(reference)]
            if len(fitting) > 1:
                raise AmbiguousNetwork(reference, len(fitting))
            if fitting:
                return fitting[0]
        raise NetworkNotFound(reference)

    def require_free_name(self, name: str) -> None:
        """Raises: NetworkNameTaken."""
        if any(each.name == name for each in self._networks.values()):
            raise NetworkNameTaken(name)

    def add(self, network: Network) -> None:
        """Record a new network, durably. Raises: NetworkNameTaken."""
        self.require_free_name(network.name)
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT INTO networks VALUES (?, ?, ?, ?)",
                (network.id, network.name, ROW_VERSION, _encoder.encode(network)),
            )
        self._networks[network.id] = network

    def remove(self, network_id: NetworkId) -> None:
        """Forget a network, durably."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM networks WHERE id = ?", (network_id,))
        self._networks.pop(network_id, None)
