"""Managed plugins, over the Engine API."""

from collections.abc import Iterable, Iterator

from wherry.client.credentials import Login
from wherry.client.documents import Document, Json, documents, stream
from wherry.client.images import login_headers
from wherry.client.transport import Filters, Transport, filter_query, segment, switch_query

Summaries = list[Document]  # Inside the class `list` is the method.


class Plugins:
    """The endpoints below /plugins. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def list(self, filters: Filters | None = None) -> Summaries:
        """All plugins, in the engine's order."""
        return documents(self._client.fetch("GET", "/plugins", query=filter_query(filters)))

    def inspect_raw(self, plugin: str) -> bytes:
        """Everything about one plugin, the bytes as the engine wrote them."""
        return self._client.request("GET", _path(plugin, "json")).read()

    def privileges(self, remote: str, login: Login) -> Summaries:
        """What a plugin in a registry wants of the engine's host."""
        response = self._client.request(
            "GET", "/plugins/privileges", query=[("remote", remote)], headers=login_headers(login)
        )
        return documents(response.json())

    def pull(self, remote: str, name: str, allowed: Summaries, login: Login) -> Iterator[Document]:
        """Install one, disabled, with these privileges; a stream of progress messages."""
        query = [("remote", remote), ("name", name)]
        return self._streamed("/plugins/pull", query, list_of(allowed), login)

    def upgrade(
        self, plugin: str, remote: str, allowed: Summaries, login: Login
    ) -> Iterator[Document]:
        """Put another version in its place; a stream of progress messages."""
        query = [("remote", remote)]
        return self._streamed(_path(plugin, "upgrade"), query, list_of(allowed), login)

    def push(self, plugin: str, login: Login) -> Iterator[Document]:
        """Send it to the registry that its name says; a stream of progress messages."""
        return self._streamed(_path(plugin, "push"), [], None, login)

    def create(self, name: str, archive: Iterable[bytes]) -> None:
        """Make one of a tar with `config.json` and `rootfs`."""
        self._client.request(
            "POST",
            "/plugins/create",
            query=[("name", name)],
            upload=archive,
            content_type="application/x-tar",
        ).read()

    def enable(self, plugin: str, *, timeout_s: int) -> None:
        """Run it."""
        query = [("timeout", str(timeout_s))]
        self._client.request("POST", _path(plugin, "enable"), query=query).read()

    def disable(self, plugin: str, *, is_forced: bool) -> None:
        """End it."""
        query = switch_query(force=is_forced)
        self._client.request("POST", _path(plugin, "disable"), query=query).read()

    def set(self, plugin: str, wishes: Iterable[str]) -> None:
        """Change its settings."""
        body: Json = list(wishes)
        self._client.request("POST", _path(plugin, "set"), body=body).read()

    def remove(self, plugin: str, *, is_forced: bool) -> None:
        """Remove it."""
        query = switch_query(force=is_forced)
        self._client.request("DELETE", f"/plugins/{segment('plugin', plugin)}", query=query).read()

    def _streamed(
        self, path: str, query: Iterable[tuple[str, str]], body: Json, login: Login
    ) -> Iterator[Document]:
        response = self._client.request(
            "POST", path, query=[*query], body=body, headers=login_headers(login)
        )
        return stream(response.chunks())


def list_of(found: Summaries) -> Json:
    """Documents as a body."""
    return [*found]


def _path(plugin: str, verb: str) -> str:
    return f"/plugins/{segment('plugin', plugin)}/{verb}"
