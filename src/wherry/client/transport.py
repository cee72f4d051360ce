"""Requests to one engine over the blocking driver: version negotiation, paths, connections."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from wherry.client.connection import Connection, Headers, Hijacked, Query, Response
from wherry.client.documents import Document, Json, document, encode
from wherry.client.endpoint import Endpoint
from wherry.client.errors import EmptyName
from wherry.client.http1 import encode_query, percent_encode

NEWEST_VERSION = "1.51"
OLDEST_NEGOTIATING = "1.24"
"""What to speak with an engine that doesn't say its version."""

Filters = Mapping[str, Iterable[str]]


class Transport:
    """One engine. The version is agreed on by the first request that needs it.

    A response that is still being read keeps its connection; the next request opens another.
    """

    def __init__(self, endpoint: Endpoint, *, version: str = "") -> None:
        self.endpoint = endpoint
        self._version = version
        self._connections: list[Connection] = []

    @property
    def version(self) -> str:
        """The API version spoken: the lower of ours and the engine's.

        Raises: Unreachable, ProtocolError.
        """
        if not self._version:
            self._version = self._negotiate()
        return self._version

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Json = None,
        upload: Iterable[bytes] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request below the version's path.

        Raises: Unreachable, ApiError, ProtocolError, OSError.
        """
        target = f"/v{self.version}{path}{encode_query(query)}"
        return self._free_connection().request(
            method, target, body=body, upload=upload, content_type=content_type, headers=headers
        )

    def fetch(self, method: str, path: str, *, query: Query = (), body: Json = None) -> Json:
        """One request, and its decoded answer. Raises: as `request`."""
        return self.request(method, path, query=query, body=body).json()

    def hijack(
        self,
        path: str,
        *,
        query: Query = (),
        body: Json = None,
        protocol: str = "tcp",
        headers: Headers | None = None,
    ) -> Hijacked:
        """POST, and the connection becomes a stream. Raises: as `request`."""
        target = f"/v{self.version}{path}{encode_query(query)}"
        connection = Connection(self.endpoint)
        return connection.hijack(target, body=body, protocol=protocol, headers=headers)

    def ping(self) -> Response:
        """`GET /_ping`; the answer's headers tell version and features. Raises: as `request`."""
        response = self._free_connection().request("GET", "/_ping")
        response.read()
        return response

    @cached_property
    def builds_by_session(self) -> bool:
        """Whether the engine's builder asks its clients for files. Raises: as `request`."""
        return self.ping().headers.get("builder-version", "") == "2"

    def speaks(self, version: str) -> bool:
        """Whether the agreed version is this one or newer."""
        return _as_numbers(self.version) >= _as_numbers(version)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _free_connection(self) -> Connection:
        for connection in self._connections:
            if not connection.is_busy:
                return connection
        self._connections.append(Connection(self.endpoint))
        return self._connections[-1]

    def _negotiate(self) -> str:
        offered = self.ping().headers.get("api-version", "") or OLDEST_NEGOTIATING
        return min(offered, NEWEST_VERSION, key=_as_numbers)


def segment(kind: str, identifier: str) -> str:
    """A name or id of a kind of object as one part of a path.

    Raises: EmptyName, for what would be another path.
    """
    if not identifier:
        raise EmptyName(kind)
    return percent_encode(identifier)


def filter_query(filters: Filters | None) -> list[tuple[str, str]]:
    """`filters={"name":{"a":true}}`, the form since API 1.22; nothing when there are none."""
    if not filters:
        return []
    shown: Document = {
        key: document(dict.fromkeys(values, True)) for key, values in filters.items()
    }
    return [("filters", encode(shown).decode())]


def switch_query(**switches: bool) -> list[tuple[str, str]]:
    """`a=1` for each switch that is on."""
    return [(name, "1") for name, is_on in switches.items() if is_on]


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
