"""Volumes, over the Engine API."""

from wherry.client.documents import Document, children, document
from wherry.client.transport import Filters, Transport, filter_query, segment, switch_query

Summaries = list[Document]  # Inside the class `list` is the method.


class Volumes:
    """The endpoints below /volumes. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def list(self, filters: Filters | None = None) -> Summaries:
        """All volumes, in the engine's order."""
        answer = self._client.fetch("GET", "/volumes", query=filter_query(filters))
        return children(document(answer), "Volumes")

    def create(self, wish: Document) -> Document:
        """A new volume, or the one of this name."""
        return document(self._client.fetch("POST", "/volumes/create", body=wish))

    def inspect_raw(self, volume: str) -> bytes:
        """Everything about one volume, the bytes as the engine wrote them."""
        return self._client.request("GET", f"/volumes/{segment(volume)}").read()

    def remove(self, volume: str, *, is_forced: bool = False) -> None:
        """Remove it; by force, one that isn't there is fine."""
        query = switch_query(force=is_forced)
        self._client.request("DELETE", f"/volumes/{segment(volume)}", query=query).read()
