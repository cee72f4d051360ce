"""What only Wherry's engine answers."""

from collections.abc import Iterator

from wherry.client.connection import Response
from wherry.client.containers import Pairs
from wherry.client.documents import Document, document, documents, encode, stream
from wherry.client.transport import Transport, segment


class Wherry:
    """The endpoints below /wherry. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def explain(self, container: str, *, form: str, live: bool = False) -> bytes:
        """What the engine did to the kernel for a container.

        The form is `text`, `json` or `shell`; `live` adds what the kernel says now.
        """
        path = f"/wherry/containers/{segment('container', container)}/explain"
        query = [("format", form), *([("live", "1")] if live else [])]
        return self._client.request("GET", path, query=query).read()

    def why(self, container: str) -> Document:
        """Why a container is in its state, and how sure that is."""
        path = f"/wherry/containers/{segment('container', container)}/why"
        return document(self._client.fetch("GET", path))

    def reach(self, question: Document) -> Document:
        """Whether a packet arrives: Verdict, Hops, Fixes."""
        return document(self._client.fetch("POST", "/wherry/reach", body=question))

    def reach_all(self, *, is_static: bool) -> list[Document]:
        """The same for every two containers that run, and each port that one listens on."""
        query = [("static", "1")] if is_static else []
        return documents(self._client.fetch("GET", "/wherry/reach", query=query))

    def map(self, *, label: str = "") -> Document:
        """Networks and Containers, and who is where; with a label, those that have it."""
        query = [("filters", encode({"label": [label]}).decode())] if label else []
        return document(self._client.fetch("GET", "/wherry/map", query=query))

    def capture(self, container: str, *, count: int = 0, expression: str = "") -> Iterator[bytes]:
        """A container's packets from now on, as pcapng; zero: until it ends."""
        path = f"/wherry/containers/{segment('container', container)}/capture"
        query = [("count", str(count)), ("filter", expression)]
        return self._client.request("GET", path, query=query).chunks()

    def removed_logs(self, container: str, query: Pairs) -> Response:
        """What a container wrote that was removed in the last days; headers name it."""
        path = f"/wherry/containers/{segment('container', container)}/removed-logs"
        return self._client.request("GET", path, query=query)

    def platforms(self) -> list[Document]:
        """The platforms whose programs run there, or could."""
        return documents(self._client.fetch("GET", "/wherry/platforms"))

    def change_platform(self, platform: str, change: str) -> Document:
        """`enable` or `disable` the programs of a platform; how it is then."""
        query = [("platform", platform)]
        return document(self._client.fetch("POST", f"/wherry/platforms/{change}", query=query))

    def check(self) -> Iterator[Document]:
        """Have the engine read all that images are made of; a stream of progress messages."""
        return stream(self._client.request("POST", "/wherry/check").chunks())

    def bootstrap(self, reference: str) -> Iterator[Document]:
        """Make a base image without a registry; a stream of progress messages."""
        query = [("reference", reference)]
        response = self._client.request("POST", "/wherry/images/bootstrap", query=query)
        return stream(response.chunks())
