"""Networks, over the Engine API."""

from wherry.client.documents import Document, document, documents
from wherry.client.transport import Filters, Transport, filter_query, segment, switch_query

Summaries = list[Document]  # Inside the class `list` is the method.


class Networks:
    """The endpoints below /networks. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def list(self, filters: Filters | None = None) -> Summaries:
        """All networks, in the engine's order."""
        return documents(self._client.fetch("GET", "/networks", query=filter_query(filters)))

    def inspect(self, network: str, *, is_verbose: bool = False) -> Document:
        """Everything about one network."""
        query = switch_query(verbose=is_verbose)
        return document(
            self._client.fetch("GET", f"/networks/{segment('network', network)}", query=query)
        )

    def inspect_raw(self, network: str, *, is_verbose: bool = False) -> bytes:
        """As `inspect`, the bytes as the engine wrote them."""
        query = switch_query(verbose=is_verbose)
        return self._client.request(
            "GET", f"/networks/{segment('network', network)}", query=query
        ).read()

    def create(self, wish: Document) -> Document:
        """A new network."""
        return document(self._client.fetch("POST", "/networks/create", body=wish))

    def remove(self, network: str) -> None:
        """Remove a network that nobody is on."""
        self._client.request("DELETE", f"/networks/{segment('network', network)}").read()

    def connect(self, network: str, container: str, wish: Document) -> None:
        """Connect a container, now or at its next start."""
        body: Document = {"Container": container, "EndpointConfig": wish}
        self._client.request(
            "POST", f"/networks/{segment('network', network)}/connect", body=body
        ).read()

    def disconnect(self, network: str, container: str, *, is_forced: bool = False) -> None:
        """Take a container off; by force, one that isn't there is fine."""
        body: Document = {"Container": container, "Force": is_forced}
        self._client.request(
            "POST", f"/networks/{segment('network', network)}/disconnect", body=body
        ).read()
