"""Endpoints that plugins were asked for: noted before the first question, until the last answer.

A plugin keeps what it was told. If a daemon dies between telling it and recording whose endpoint
that is, nobody knows of it but the plugin; so the next daemon gives back what is noted here and on
no container's record.
"""

from collections.abc import Sequence

import msgspec

from wherry.kit.values import dataclass
from wherry.model.ids import EndpointId
from wherry.model.networks import EndpointStatus
from wherry.store import Database, Migration, read_records

_ROW_VERSION = 1
MIGRATIONS = (
    Migration(
        room="networks",
        number=2,
        sql="""
        CREATE TABLE plugin_endpoints (
            id TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            record BLOB NOT NULL
        ) STRICT;
        """,
    ),
)

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One endpoint, as far as its plugin has said how it is."""

    endpoint: EndpointStatus
    namespace_path: str


class PluginEndpoints:
    """What plugins know of. Calls block; from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, endpoint: EndpointStatus, namespace_path: str) -> None:
        """A plugin is about to be told of it, or has said more; durably."""
        asked = Asked(endpoint=endpoint, namespace_path=namespace_path)
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT OR REPLACE INTO plugin_endpoints VALUES (?, ?, ?)",
                (endpoint.endpoint_id, _ROW_VERSION, _encoder.encode(asked)),
            )

    def forget(self, endpoint_id: EndpointId) -> None:
        """Its plugin was told that it is gone. Doing so twice is no error."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM plugin_endpoints WHERE id = ?", (endpoint_id,))

    def all(self) -> Sequence[Asked]:
        """Every one that is noted. Raises: StateUnreadable for a row of a newer version."""
        found = read_records(self._database, "plugin_endpoints", Asked, version=_ROW_VERSION)
        return [asked for _id, asked in found]
