"""Every operation of the API under requests made by chance (RELIABILITY X01).

`make fuzz` sends 200 to each, `make test` a few. Nothing may be answered with an unexpected 500,
nothing may hang, every refusal has a sentence, and in the end it is the same daemon, with nothing
left behind.
"""

import json
import os
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.api_requests import OPERATIONS, Sent, requests
from support.daemon import Engine
from support.http_over_unix import connect

EXAMPLES = int(os.environ.get("WHERRY_FUZZ_EXAMPLES", "4"))
LONGEST_S = 10.0
LONGEST_WITH_REGISTRY_S = 90.0

pytestmark = [pytest.mark.kernel, pytest.mark.stock_differs]

NEEDS_REGISTRY = (
    "POST /auth", "GET /images/search", "GET /distribution/{name}/json", "POST /images/create",
    "POST /images/{name}/push",
)  # fmt: skip
"""What tries to reach a registry, more than once, and answers 500 for want of a network."""

EXPECTED_500 = (
    "failed to create task for container",
    "dial tcp", "no such host", "error gathering device information",
)  # fmt: skip
"""Starts of containers that chance has made unfit to run; pulls without a network."""


@pytest.fixture(scope="module")
def target() -> Iterator[Engine]:
    """An engine of its own, with a running and a created container."""
    engine = Engine()
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        if engine.is_running:
            engine.remove_all_containers()
        engine.close()


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_operation(target: Engine, operation: str) -> None:
    """No request of this operation is too much for the engine."""
    before = target.pid
    _populate(target)
    asks_registry = operation in NEEDS_REGISTRY
    longest_s = LONGEST_WITH_REGISTRY_S if asks_registry else LONGEST_S

    @settings(
        max_examples=1 if asks_registry else EXAMPLES, deadline=None, derandomize=True,
        database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def send(data: st.DataObject) -> None:
        sent = data.draw(requests(operation))
        begun = time.monotonic()
        status, body = answer(target.socket, sent, longest_s)
        assert time.monotonic() - begun < longest_s, sent
        assert _is_fine(operation, status, body), (status, body[:400], sent)

    send()
    assert target.pid == before


def _populate(engine: Engine) -> None:
    """`cc` runs, `dd` was made, and `kept` is a volume, whatever chance did before."""
    engine.docker("volume", "create", "kept")
    for name, command in (("cc", "cat"), ("dd", "true")):
        wish = {"Image": "busybox", "Cmd": [command], "OpenStdin": True}
        engine.api("POST", f"/containers/create?name={name}", wish)
    engine.api("POST", "/containers/cc/start")


def _is_fine(operation: str, status: int, body: bytes) -> bool:
    if status < 400 or operation.startswith("HEAD"):
        return True
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return False
    if status == 500:
        return operation in NEEDS_REGISTRY or any(each in message for each in EXPECTED_500)
    return bool(message) and status in (400, 401, 403, 404, 405, 406, 409, 413, 415, 501, 503)


def answer(path: str, sent: Sent, timeout_s: float) -> tuple[int, bytes]:
    """Status and the beginning of the body; the client hangs up without reading the rest."""
    head = [f"{sent.method} /v1.51{sent.target} HTTP/1.1", "Host: fuzz", "Connection: close"]
    if sent.content_type:
        head.append(f"Content-Type: {sent.content_type}")
    if sent.body is not None:
        head.append(f"Content-Length: {len(sent.body)}")
    with connect(path, timeout_s=timeout_s) as client:
        client.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + (sent.body or b""))
        received = _until(client, b"\r\n\r\n")
        start, _, rest = received.partition(b"\r\n\r\n")
        status = int(start.split(b" ", 2)[1])
        if status >= 400:
            rest += _until(client, b"")
        return status, rest


def _until(client: socket.socket, end: bytes) -> bytes:
    """What comes until the end of the headers, or of all."""
    received = b""
    while not end or end not in received:
        piece = client.recv(65536)
        if not piece:
            break
        received += piece
    return received
