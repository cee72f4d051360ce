"""A daemon is started only where it may be, and waited for."""

import os
import sys
from pathlib import Path

import pytest

from wherry.cli.autostart import start_daemon
from wherry.cli.failures import CommandFailed
from wherry.cli.session import Choice, Session, choose_endpoint
from wherry.client.endpoint import Endpoint
from wherry.client.engine_client import Client
from wherry.client.errors import Unreachable

DAEMON = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
open(sys.argv[2], "w").write(f"{os.getsid(0)} {os.getcwd()}")
for _ in range(2):
    channel, _ = listener.accept()
    channel.recv(4096)
    channel.sendall(b"HTTP/1.1 200 OK\\r\\nApi-Version: 1.44\\r\\nContent-Length: 0\\r\\n\\r\\n")
    channel.close()
"""


def endpoint_in(directory: Path) -> Endpoint:
    """A socket that isn't there yet."""
    path = str(directory / "e.sock")
    return Endpoint(address=f"unix://{path}", socket_path=path)


def test_started_and_answering(tmp_path: Path) -> None:
    """The daemon has a session of its own, and answers when the call returns."""
    endpoint = endpoint_in(tmp_path)
    trace = tmp_path / "trace"
    command = [sys.executable, "-c", DAEMON, endpoint.socket_path, str(trace)]
    start_daemon(endpoint, command=command, log_path=str(tmp_path / "log"))
    client = Client(endpoint)
    assert client.version == "1.44"
    client.close()
    session_id, directory = trace.read_text().split()
    assert int(session_id) != os.getsid(0)
    assert directory == "/"


def test_a_daemon_that_ends_is_told(tmp_path: Path) -> None:
    """No fifteen seconds of waiting for what has died; the log is named."""
    with pytest.raises(CommandFailed, match="ended at once with code 3") as caught:
        start_daemon(
            endpoint_in(tmp_path),
            command=[sys.executable, "-c", "raise SystemExit(3)"],
            log_path=str(tmp_path / "log"),
        )
    assert str(tmp_path / "log") in caught.value.message


@pytest.mark.parametrize(("is_default", "may"), [(False, True), (True, False)])
def test_not_where_it_may_not(tmp_path: Path, is_default: bool, may: bool) -> None:
    """Another socket than the default, or --no-autostart: nothing is started."""
    session = Session(endpoint_in(tmp_path), is_default_endpoint=is_default, may_autostart=may)
    with pytest.raises(Unreachable):
        _ = session.client
    assert list(tmp_path.iterdir()) == []


def test_the_endpoint_is_chosen_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """-H, then WHERRY_HOST, then DOCKER_HOST, then the default socket."""
    monkeypatch.delenv("WHERRY_HOST", raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", "/nowhere")
    assert choose_endpoint(Choice([])) == (choose_endpoint(Choice([]))[0], True)
    assert choose_endpoint(Choice([]))[0].address == "unix:///run/wherry.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://d")
    assert choose_endpoint(Choice([]))[0].address == "tcp://d:2375"
    monkeypatch.setenv("WHERRY_HOST", "tcp://w")
    assert choose_endpoint(Choice([]))[0].address == "tcp://w:2375"
    assert choose_endpoint(Choice(["tcp://h"])) == (choose_endpoint(Choice(["tcp://h"]))[0], False)
