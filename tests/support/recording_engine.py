"""An engine that remembers what it was asked for, and refuses all that it has no answer for."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

_REFUSAL = b'{"message": "refused"}'
NOTHING = (None, "", 0, False, [], {})


class Asked(NamedTuple):
    """One request: what matters of it, in one form whoever sent it."""

    method: str
    path: str
    query: list[tuple[str, object]]
    body: object


class RecordingEngine:
    """Requests in the order in which they came, and the answers that some paths have."""

    def __init__(self, path: Path) -> None:
        self.requests: list[Asked] = []
        self.answers: dict[str, object] = {}
        engine = self

        class Handler(_Handler):
            def remember(self, asked: Asked) -> None:
                engine.requests.append(asked)

            def known(self, path: str) -> object:
                return engine.answers.get(path)

        self._server = _Server(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def recording(path: Path) -> Iterator[RecordingEngine]:
    """An engine at a socket."""
    engine = RecordingEngine(path)
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def remember(self, asked: Asked) -> None:
        raise NotImplementedError

    def known(self, path: str) -> object:
        raise NotImplementedError

    def answer(self) -> None:
        """Remember, and answer or refuse; a ping is answered always."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = urlsplit(self.path)
        path = "/" + target.path.lstrip("/").partition("/")[2]
        if target.path.endswith("/_ping"):
            self._send(200, b"OK")
            return
        query = sorted((key, _canonical(value)) for key, value in parse_qsl(target.query))
        self.remember(Asked(self.command, _familiar(path), query, _canonical(body.decode())))
        found = self.known(_familiar(path))
        self._send(200, json.dumps(found).encode()) if found else self._send(418, _REFUSAL)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = answer

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Api-Version", "1.51")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Nothing: the test tells."""

    def address_string(self) -> str:
        """A Unix socket's peer has none."""
        return ""


def _canonical(text: str) -> object:
    """JSON without what is empty, in one order; any other text as it is."""
    try:
        return _without_nothing(json.loads(text))
    except ValueError:
        return _familiar(text)


def _without_nothing(value: object) -> object:
    if isinstance(value, dict):
        kept = {key: _without_nothing(each) for key, each in value.items()}
        return {key: kept[key] for key in sorted(kept) if kept[key] not in NOTHING}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


def _familiar(name: str) -> str:
    return name.replace("docker.io/library/", "")
