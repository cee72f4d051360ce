"""Containers, over the Engine API."""

from base64 import b64decode
from collections.abc import Iterable, Iterator

from wherry.client.connection import Hijacked, Response
from wherry.client.documents import Document, child, document, documents, parse, text
from wherry.client.errors import ProtocolError
from wherry.client.transport import Filters, Transport, filter_query, segment, switch_query

Pairs = list[tuple[str, str]]
Summaries = list[Document]  # Inside the class `list` is the method.


class Containers:
    """The endpoints below /containers. Every method raises as `Transport.request`."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def list(
        self,
        *,
        all_states: bool = False,
        limit: int = 0,
        with_size: bool = False,
        filters: Filters | None = None,
    ) -> Summaries:
        """Summaries, newest first; a limit of 0 means all."""
        query = switch_query(all=all_states, size=with_size) + filter_query(filters)
        if limit > 0:
            query.append(("limit", str(limit)))
        return documents(self._client.fetch("GET", "/containers/json", query=query))

    def create(self, config: Document, *, name: str = "", platform: str = "") -> Document:
        """A new container; the answer has its Id and Warnings."""
        query = [(key, value) for key, value in (("name", name), ("platform", platform)) if value]
        if not self._client.speaks("1.44"):
            config = _with_one_mac_address(config)
        return document(self._client.fetch("POST", "/containers/create", query=query, body=config))

    def inspect(self, container: str, *, with_size: bool = False) -> Document:
        """Everything about one container."""
        return document(
            self._client.fetch(
                "GET", self._path(container, "json"), query=switch_query(size=with_size)
            )
        )

    def inspect_raw(self, container: str, *, with_size: bool = False) -> bytes:
        """As `inspect`, the bytes as the engine wrote them."""
        query = switch_query(size=with_size)
        return self._client.request("GET", self._path(container, "json"), query=query).read()

    def start(self, container: str, *, detach_keys: str = "") -> None:
        """Start it; one that runs already stays as it is."""
        query = [("detachKeys", detach_keys)] if detach_keys else []
        self._post(container, "start", query)

    def stop(self, container: str, *, signal: str = "", timeout_s: int | None = None) -> None:
        """Ask it to end, kill it after the timeout; None is the container's own timeout."""
        self._post(container, "stop", _end_query(signal, timeout_s))

    def restart(self, container: str, *, signal: str = "", timeout_s: int | None = None) -> None:
        """Stop and start."""
        self._post(container, "restart", _end_query(signal, timeout_s))

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to its first process."""
        self._post(container, "kill", [("signal", signal)] if signal else [])

    def pause(self, container: str) -> None:
        """Freeze its processes."""
        self._post(container, "pause", [])

    def unpause(self, container: str) -> None:
        """Thaw its processes."""
        self._post(container, "unpause", [])

    def rename(self, container: str, name: str) -> None:
        """Give it another name."""
        self._post(container, "rename", [("name", name)])

    def remove(
        self,
        container: str,
        *,
        with_volumes: bool = False,
        is_forced: bool = False,
        is_link: bool = False,
    ) -> None:
        """Remove it; by force also while it runs."""
        query = switch_query(v=with_volumes, force=is_forced, link=is_link)
        self._client.request(
            "DELETE", f"/containers/{segment('container', container)}", query=query
        ).read()

    def begin_wait(self, container: str, condition: str = "") -> Response:
        """Start waiting: the head comes at once, the JSON body when the condition holds."""
        query = [("condition", condition)] if condition else []
        return self._client.request("POST", self._path(container, "wait"), query=query)

    def wait(self, container: str) -> int:
        """Wait until it has stopped; its exit code."""
        answer = document(self.begin_wait(container).json())
        code = answer.get("StatusCode")
        return code if isinstance(code, int) else 0

    def logs(self, container: str, query: Pairs) -> Iterator[bytes]:
        """The log as the engine streams it, multiplexed unless the container has a terminal."""
        return self._client.request("GET", self._path(container, "logs"), query=query).chunks()

    def attach(
        self,
        container: str,
        *,
        stdin: bool = False,
        stdout: bool = False,
        stderr: bool = False,
        detach_keys: str = "",
    ) -> Hijacked:
        """A stream of the container's input and output from now on."""
        query = switch_query(stream=True, stdin=stdin, stdout=stdout, stderr=stderr)
        if detach_keys:
            query.append(("detachKeys", detach_keys))
        return self._client.hijack(self._path(container, "attach"), query=query)

    def resize(self, container: str, *, rows: int, columns: int) -> None:
        """Set the size of its terminal, in characters."""
        self._post(container, "resize", [("h", str(rows)), ("w", str(columns))])

    def top(self, container: str, ps_arguments: str = "") -> Document:
        """Its processes: Titles and Processes."""
        query = [("ps_args", ps_arguments)] if ps_arguments else []
        return document(self._client.fetch("GET", self._path(container, "top"), query=query))

    def update(self, container: str, changes: Document) -> Document:
        """Change its limits and restart policy; the answer has its Warnings."""
        return document(self._client.fetch("POST", self._path(container, "update"), body=changes))

    def stats_once(self, container: str) -> Document:
        """What it uses, counted at once; the caller compares."""
        query = [("stream", "0"), ("one-shot", "1")]
        return document(self._client.fetch("GET", self._path(container, "stats"), query=query))

    def changes(self, container: str) -> Summaries:
        """What it changed of its image's files: Path and Kind."""
        return documents(self._client.fetch("GET", self._path(container, "changes")))

    def commit(self, query: Pairs) -> Document:
        """Make an image of it; the answer has its Id."""
        return document(self._client.fetch("POST", "/commit", query=query))

    def export(self, container: str) -> Iterator[bytes]:
        """A tar of its files."""
        return self._client.request("GET", self._path(container, "export")).chunks()

    def path_state(self, container: str, path: str) -> Document:
        """What is under a path in it: name, size, mode, linkTarget."""
        response = self._client.request(
            "HEAD", self._path(container, "archive"), query=[("path", path)]
        )
        response.read()
        return _path_state(response)

    def archive(self, container: str, path: str) -> tuple[Document, Iterator[bytes]]:
        """What is under a path in it, and a tar of that."""
        response = self._client.request(
            "GET", self._path(container, "archive"), query=[("path", path)]
        )
        return _path_state(response), response.chunks()

    def unpack(
        self, container: str, path: str, archive: Iterable[bytes], *, gives_to_user: bool
    ) -> None:
        """Unpack a tar into one of its directories; kinds of files are kept."""
        query = [("noOverwriteDirNonDir", "true"), ("path", path)]
        query += switch_query(copyUIDGID=gives_to_user)
        self._client.request(
            "PUT",
            self._path(container, "archive"),
            query=query,
            upload=archive,
            content_type="application/x-tar",
        ).read()

    def _post(self, container: str, verb: str, query: Pairs) -> None:
        self._client.request("POST", self._path(container, verb), query=query).read()

    @staticmethod
    def _path(container: str, verb: str) -> str:
        return f"/containers/{segment('container', container)}/{verb}"


def _path_state(response: Response) -> Document:
    try:
        return document(parse(b64decode(response.headers.get("x-docker-container-path-stat", ""))))
    except ValueError as error:
        raise ProtocolError(f"unable to decode container path stat header: {error}") from error


def _end_query(signal: str, timeout_s: int | None) -> Pairs:
    query = [("signal", signal)] if signal else []
    if timeout_s is not None:
        query.append(("t", str(timeout_s)))
    return query


def _with_one_mac_address(config: Document) -> Document:
    """As older engines want it: the address is the container's, not an endpoint's."""
    told = document(child(config, "NetworkingConfig").get("EndpointsConfig"))
    addresses = [text(document(each), "MacAddress") for each in told.values()]
    found = next(filter(None, addresses), "")
    return {**config, "MacAddress": found} if found else config
