"""A Unix-socket HTTP client of the standard library alone, so that no client hides a fault."""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body decoded. Raises: ValueError."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The body as a stream of JSON documents, one a line."""
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    @property
    def message(self) -> str:
        """The sentence of an error envelope. Raises: KeyError; ValueError."""
        return str(self.json["message"])


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = connect(self._path, timeout_s=self.timeout or 30)


def connect(path: str, *, timeout_s: float = 30) -> socket.socket:
    """A stream to a Unix socket. Raises: OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout_s)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


def request(
    path: str,
    method: str,
    target: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30,
) -> Answer:
    """Send one request and read the whole answer.

    A `body` of bytes goes as it is, anything else but None as JSON. Raises: OSError.
    """
    connection = _Connection(path, timeout_s)
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, target, body=body, headers=sent)
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read())
    finally:
        connection.close()


def exchange(path: str, octets: bytes, *, timeout_s: float = 10) -> bytes:
    """Send raw bytes and return all that comes back until the other side closes."""
    with connect(path, timeout_s=timeout_s) as stream:
        stream.sendall(octets)
        stream.shutdown(socket.SHUT_WR)
        received = b""
        while part := stream.recv(65536):
            received += part
        return received
