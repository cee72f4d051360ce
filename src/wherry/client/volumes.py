"""Volumes, over the Engine API."""

from collections.abc import Iterable, Iterator

from wherry.client.documents import Document, children, document, documents
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
        return self._client.request("GET", f"/volumes/{segment('volume', volume)}").read()

    def remove(self, volume: str, *, is_forced: bool = False) -> None:
        """Remove it; by force, one that isn't there is fine."""
        query = switch_query(force=is_forced)
        self._client.request("DELETE", f"/volumes/{segment('volume', volume)}", query=query).read()

    # -- of Wherry's own ---------------------------------------------------------------------

    def snapshots(self, volume: str) -> Summaries:
        """How it was, the oldest first."""
        return documents(self._client.fetch("GET", _own(volume, "snapshots")))

    def take_snapshot(self, volume: str, *, name: str, consistent: str) -> Document:
        """Keep how it is now."""
        query = [("name", name), ("consistent", consistent)]
        return document(self._client.fetch("POST", _own(volume, "snapshots"), query=query))

    def forget_snapshot(self, volume: str, snapshot: str) -> None:
        """Remove a snapshot."""
        query = [("snapshot", snapshot)]
        self._client.request("DELETE", _own(volume, "snapshots"), query=query).read()

    def roll_back(self, volume: str, snapshot: str, *, restarts: bool) -> Document:
        """Let it be as it was; what it was until now is kept, which is the answer."""
        query = [("snapshot", snapshot), *switch_query(restart=restarts)]
        return document(self._client.fetch("POST", _own(volume, "rollback"), query=query))

    def clone(self, volume: str, new_name: str, *, snapshot: str) -> Document:
        """A new volume like this one, or like a snapshot of it."""
        query = [("to", new_name), ("snapshot", snapshot)]
        return document(self._client.fetch("POST", _own(volume, "clone"), query=query))

    def rename(self, volume: str, new_name: str) -> Document:
        """Another name, for all who have it."""
        path = _own(volume, "rename")
        return document(self._client.fetch("POST", path, query=[("name", new_name)]))

    def changes(self, volume: str, older: str, newer: str) -> Summaries:
        """What has changed between two snapshots, or since one."""
        query = [("from", older), ("to", newer)]
        return documents(self._client.fetch("GET", _own(volume, "diff"), query=query))

    def export(self, volume: str, *, snapshot: str, compression: str) -> Iterator[bytes]:
        """A tar of its files."""
        query = [("snapshot", snapshot), ("compression", compression)]
        return self._client.request("GET", _own(volume, "export"), query=query).chunks()

    def import_archive(
        self, volume: str, archive: Iterable[bytes], *, replaces: bool, takes_devices: bool
    ) -> Document:
        """A volume with the files of a tar."""
        answer = self._client.request(
            "POST",
            _own(volume, "import"),
            query=switch_query(replace=replaces, devices=takes_devices),
            upload=archive,
            content_type="application/x-tar",
        )
        return document(answer.json())


def _own(volume: str, noun: str) -> str:
    return f"/wherry/volumes/{segment('volume', volume)}/{noun}"
