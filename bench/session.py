"""One engine of the two, and a kept-alive connection to it."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

from support import http_over_unix
from support.daemon import BUSYBOX, Engine


class Session:
    """Requests to one engine, and the program `netload` that loads its networks."""

    def __init__(self, engine: Engine, netload: Path) -> None:
        self.engine = engine
        self.netload = netload
        self._connection = http.client.HTTPConnection("localhost")
        self._used_at = -1.0

    def _freshen(self) -> None:
        """While the other engine was measured this one may have closed an idle connection."""
        if time.perf_counter() - self._used_at > 2 or self._connection.sock is None:
            self._connection.sock = http_over_unix.connect(self.engine.socket, timeout_s=300)
        self._used_at = time.perf_counter()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One request; fails loudly. Raises: RuntimeError."""
        octets = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if octets else {}
        self._freshen()
        self._connection.request(method, self.engine.api_prefix + path, octets, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
        if response.will_close:
            self._connection.sock = None
        self._used_at = time.perf_counter()
        return response.status, content

    def created(self, *command: str, health: object = None, **host: object) -> str:
        """A new container's id."""
        document = {
            "Image": BUSYBOX,
            "Cmd": list(command),
            "ExposedPorts": {"7000/tcp": {}} if "PortBindings" in host else {},
            "HostConfig": host,
            "Healthcheck": health,
        }
        return str(json.loads(self.call("POST", "/containers/create", document)[1])["Id"])

    def removed(self, container: str) -> None:
        """Remove a container, whatever its state."""
        self.call("DELETE", f"/containers/{container}?force=1")

    @contextlib.contextmanager
    def running(self, *command: str, **host: object) -> Iterator[str]:
        """A running container for a while."""
        container = self.created(*command, **host)
        self.call("POST", f"/containers/{container}/start")
        try:
            yield container
        finally:
            self.removed(container)

    def fetched(self, path: str) -> bytes:
        """The answer to a GET, read whole; the connection is not used again."""
        self._freshen()
        self._connection.request("GET", self.engine.api_prefix + path)
        content = self._connection.getresponse().read()
        self._used_at = -1.0
        return content
