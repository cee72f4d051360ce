"""The engine itself, over the Engine API."""

from collections.abc import Iterator, Mapping

from wherry.client.documents import Document, document, stream
from wherry.client.transport import Filters, Transport, filter_query


class System:
    """Version, info and events. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def version(self) -> Document:
        """What the engine and its parts are."""
        return document(self._client.fetch("GET", "/version"))

    def info(self) -> Document:
        """Counts, drivers, kernel and machine."""
        return document(self._client.fetch("GET", "/info"))

    def log_in(self, login: Document) -> Document:
        """Check credentials with a registry: `Status`, and an `IdentityToken` to keep."""
        return document(self._client.fetch("POST", "/auth", body=login))

    def disk_usage(self) -> Document:
        """What images, containers and volumes take."""
        return document(self._client.fetch("GET", "/system/df"))

    def prune(self, noun: str, filters: Filters) -> Document:
        """Remove what nobody uses of `containers`, `images`, `networks` or `volumes`."""
        target = f"/{noun}/prune"
        return document(self._client.fetch("POST", target, query=filter_query(filters)))

    def prune_builds(
        self, filters: Filters, *, takes_all: bool, limits: Mapping[str, int]
    ) -> Document:
        """Remove what builds have kept, down to limits in bytes."""
        query = filter_query(filters) + [(name, str(size)) for name, size in limits.items()]
        query += [("all", "1")] if takes_all else []
        return document(self._client.fetch("POST", "/build/prune", query=query))

    def events(
        self, *, since: str = "", until: str = "", filters: Filters | None = None
    ) -> Iterator[Document]:
        """Events as they happen; without end unless `until` is given."""
        query = [(key, value) for key, value in (("since", since), ("until", until)) if value]
        response = self._client.request("GET", "/events", query=query + filter_query(filters))
        return stream(response.chunks())
