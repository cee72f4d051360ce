"""Is each slide's test worth anything? The same test against an engine that leaves things out.

`make course-mutants`. The clients reach the engine through a forger. It first lets a test pass and
notes what was asked; then the test is run again and again, and each time the forger leaves out
another thing that was asked for: a field of a request, a parameter, or the whole deed, which is
answered as if it were done. As soon as the test fails, it has been shown to notice. A test that
notices nothing at all is named in the end, and the run has failed.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import pytest
from _pytest.runner import runtestprotocol

from support.daemon import Engine, live_engines

_VERSION = re.compile(r"^/v[\d.]+")
_ID = re.compile(r"/[0-9a-f]{12,64}(?=/|$)")
_NOTHING = (None, "", False, 0, [], {}, -1, "default", "no")
_WEIGHTLESS = frozenset({"Cmd", "Entrypoint", "AttachStdout", "stdout", "name", "repo", "t"})
"""Without these nearly every test fails: they are left out last."""
_DONE = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
_NOTHING_TO_SAY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    b"Connection: close\r\n\r\n{}"
)
_DEEDS = ("POST", "PUT", "DELETE")
_MOST_MUTANTS = 40
"""Of one test; the first that it notices ends the search."""


class Request(NamedTuple):
    """What a client asks."""

    method: str
    path: str
    """Without the version, and with `/ID` for ids."""
    query: tuple[tuple[str, str], ...]
    headers: bytes
    body: bytes

    def without_field(self, place: tuple[str, ...]) -> "Request":
        """The same with one field of its JSON left out."""
        whole = json.loads(self.body)
        inner = whole
        for key in place[:-1]:
            inner = inner.get(key) or {}
        inner.pop(place[-1], None)
        return self._replace(body=json.dumps(whole).encode())


@dataclass(frozen=True)
class Mutant:
    """One thing that is left out."""

    method: str
    path: str
    field: tuple[str, ...] = ()
    parameter: str = ""

    def __str__(self) -> str:
        left_out = ".".join(self.field) or self.parameter
        return f"{self.method} {self.path}" + (f" without {left_out}" if left_out else " not done")

    @property
    def is_weightless(self) -> bool:
        """Whether it says little about a test that it is noticed."""
        return self.parameter in _WEIGHTLESS or bool(_WEIGHTLESS.intersection(self.field))

    def touches(self, request: Request) -> bool:
        """Whether it is this request that is falsified."""
        return (request.method, _shape(request.path)) == (self.method, self.path)

    def forged(self, request: Request) -> Request | None:
        """What the engine is asked instead; None: nothing at all."""
        if self.field:
            return request.without_field(self.field)
        if self.parameter:
            kept = tuple(pair for pair in request.query if pair[0] != self.parameter)
            return request._replace(query=kept)
        return None


class Forger:
    """A socket in front of an engine's, one thread per connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.path = str(engine.root / "forged.sock")
        self.mutant: Mutant | None = None
        self.seen: list[Request] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()
        os.unlink(self.path)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            head, rest = _read_head(client)
            line, _, headers = head.partition(b"\r\n")
            method, target, _protocol = line.decode().split(" ", 2)
            path, _, query = target.partition("?")
            body = _small_body(client, headers, rest)
            asked = Request(
                method,
                _VERSION.sub("", path),
                tuple(parse_qsl(query, keep_blank_values=True)),
                headers,
                rest if body is None else body,
            )
            self.seen.append(asked)
            sent: Request | None = asked
            if self.mutant is not None and self.mutant.touches(asked):
                sent = self.mutant.forged(asked)
            if sent is None:
                client.sendall(_NOTHING_TO_SAY if method == "GET" else _DONE)
                return
            version = path.removesuffix(asked.path)
            self._forward(client, sent, version, has_whole_body=body is not None)

    def _forward(
        self, client: socket.socket, sent: Request, version: str, *, has_whole_body: bool
    ) -> None:
        target = f"{version}{sent.path}" + (f"?{urlencode(sent.query)}" if sent.query else "")
        headers = sent.headers
        if has_whole_body:
            headers = re.sub(rb"(?i)(^|\r\n)content-length:[^\r]*", b"", headers)
            headers += f"\r\nContent-Length: {len(sent.body)}".encode()
        if b"upgrade:" not in headers.lower():
            headers = re.sub(rb"(?i)(^|\r\n)connection:[^\r]*", b"", headers)
            headers += b"\r\nConnection: close"
        line = f"{sent.method} {target} HTTP/1.1\r\n".encode()
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self._engine.socket)
            engine.sendall(line + headers.strip() + b"\r\n\r\n" + sent.body)
            back = threading.Thread(target=_pump, args=(engine, client), daemon=True)
            back.start()
            _pump(client, engine)
            back.join()


class _Sibling:
    """Said to come next, it lets a test be torn down while what its module shares stays."""

    def __init__(self, item: pytest.Item) -> None:
        self._chain = item.listchain()[:-1]

    def listchain(self) -> list[Any]:
        """The collectors above, and itself."""
        return [*self._chain, self]


class CourseMutants:
    """The plugin: each test passes once, and then has to notice."""

    def __init__(self) -> None:
        self._noticed: dict[str, str] = {}
        self._blind: list[str] = []
        self._silent: list[str] = []
        """They ask nothing through the API: there is nothing to leave out."""

    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run a test until it has failed."""
        with _forgers() as forgers:
            sibling = _Sibling(item)
            reports = _run(item, sibling, forgers, None)
            if not all(report.passed for report in reports):
                for report in reports:
                    item.ihook.pytest_runtest_logreport(report=report)
                _run(item, nextitem, forgers, None)
                return True
            asked = [each for forger in forgers for each in forger.seen]
            mutants = _mutants(asked)
            for mutant in mutants[:_MOST_MUTANTS]:
                if not all(report.passed for report in _run(item, sibling, forgers, mutant)):
                    self._noticed[item.nodeid] = str(mutant)
                    break
            else:
                (self._blind if mutants else self._silent).append(item.nodeid)
            for report in _run(item, nextitem, forgers, None):
                item.ihook.pytest_runtest_logreport(report=report)
        return True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A test that notices nothing is a failure."""
        if self._blind:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What each test noticed."""
        for test, mutant in self._noticed.items():
            terminalreporter.write_line(f"{test.rpartition('/')[2]} notices {mutant}")
        for test in self._blind:
            terminalreporter.write_line(f"BLIND {test}", red=True)
        total = len(self._noticed) + len(self._blind)
        terminalreporter.write_line(
            f"{len(self._noticed)} of {total} tests notice a mutant;"
            f" {len(self._silent)} ask nothing by the API"
        )


@contextlib.contextmanager
def _forgers() -> Iterator[list[Forger]]:
    """A forger before each engine that a test starts or has, while the test runs."""
    made: dict[Engine, Forger] = {}

    def seen_by_clients(engine: Engine) -> str:
        if engine not in made:
            made[engine] = Forger(engine)
            forgers.append(made[engine])
        return made[engine].path

    forgers: list[Forger] = []
    Engine.client_socket = property(seen_by_clients)  # type: ignore[assignment,method-assign]
    try:
        yield forgers
    finally:
        Engine.client_socket = property(lambda engine: engine.socket)  # type: ignore[assignment,method-assign]
        for engine, forger in made.items():
            if engine in live_engines:
                forger.close()


def _run(
    item: pytest.Item,
    nextitem: pytest.Item | _Sibling | None,
    forgers: list[Forger],
    mutant: Mutant | None,
) -> list[pytest.TestReport]:
    for forger in forgers:
        forger.mutant, forger.seen = mutant, []
    item._initrequest()  # type: ignore[attr-defined]
    kept = {engine: _belongings(engine) for engine in live_engines}
    try:
        return runtestprotocol(item, log=False, nextitem=nextitem)  # type: ignore[arg-type]
    finally:
        for forger in forgers:
            forger.mutant = None
        if mutant is not None:
            for engine in kept.keys() & set(live_engines):
                _clear(engine, kept[engine])


class _Belongings(NamedTuple):
    """What an engine and its directory hold."""

    files: frozenset[str]
    images: frozenset[str]


def _belongings(engine: Engine) -> _Belongings:
    if not engine.is_running:
        return _Belongings(frozenset(os.listdir(engine.root)), frozenset())
    listed = engine.api("GET", "/images/json").json
    names = (tag for image in listed for tag in image.get("RepoTags") or ())
    return _Belongings(frozenset(os.listdir(engine.root)), frozenset(names))


def _clear(engine: Engine, kept: _Belongings) -> None:
    """Take away what a test left that failed half-way."""
    if not engine.is_running:
        engine.start()
    engine.remove_all_containers()
    now = _belongings(engine)
    for image in now.images - kept.images:
        engine.api("DELETE", f"/images/{image}?force=1")
    for noun in ("networks", "volumes?filters=%7B%22all%22%3A%5B%22true%22%5D%7D"):
        target, _, query = noun.partition("?")
        engine.api("POST", f"/{target}/prune" + (f"?{query}" if query else ""))
    for name in now.files - kept.files:
        path = engine.root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _mutants(asked: list[Request]) -> list[Mutant]:
    """What can be left out of what was asked, the likeliest to be noticed first."""
    fields: dict[Mutant, None] = {}
    deeds: dict[Mutant, None] = {}
    parameters: dict[Mutant, None] = {}
    for request in asked:
        shape = _shape(request.path)
        if request.method in _DEEDS:
            for place in _fields(request.body):
                if place != ("Image",):  # Without one there is nothing to be wrong.
                    fields[Mutant(request.method, shape, field=place)] = None
            if shape != "/containers/create":
                deeds[Mutant(request.method, shape)] = None
        for name, value in request.query:
            if value not in ("", "0", "false"):
                parameters[Mutant(request.method, shape, parameter=name)] = None
    answers = {Mutant("GET", _shape(each.path)): None for each in asked if each.method == "GET"}
    ordered = (*fields, *parameters, *deeds, *answers)
    return sorted(ordered, key=lambda mutant: mutant.is_weightless)


def _fields(body: bytes) -> Iterator[tuple[str, ...]]:
    """The places of a JSON body that say something, the inner ones first."""
    with contextlib.suppress(ValueError):
        whole = json.loads(body or b"null")
        if isinstance(whole, dict):
            inner = [
                (key, name)
                for key, value in whole.items()
                if isinstance(value, dict)
                for name, each in value.items()
                if each not in _NOTHING
            ]
            yield from inner
            yield from ((key,) for key, value in whole.items() if value not in _NOTHING)


def _shape(path: str) -> str:
    return _ID.sub("/ID", path)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = client.recv(65536)
        if not more:
            raise ValueError("the client asked nothing")
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _small_body(client: socket.socket, headers: bytes, received: bytes) -> bytes | None:
    """A JSON body, whole; None when the request has another, or streams."""
    length = re.search(rb"(?i)content-length: *(\d+)", headers)
    if length is None or b"json" not in headers.lower():
        return None
    while len(received) < int(length[1]):
        more = client.recv(65536)
        if not more:
            raise ValueError("the client went away")
        received += more
    return received


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
