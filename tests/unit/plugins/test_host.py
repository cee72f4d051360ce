"""Plugins that answer, and one that doesn't."""

import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.model.errors.plugins import PluginNotFound
from wherry.plugins import NETWORK_DRIVER, VOLUME_DRIVER, PluginHost


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _Activates(http.server.BaseHTTPRequestHandler):
    """A plugin that keeps volumes, and can say so."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"Implements": [VOLUME_DRIVER]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a client"

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[str]:
    """The name of a plugin that answers; its socket is in the test's directory."""
    with _Server(str(tmp_path / "quick.sock"), _Activates) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield "quick"
        server.shutdown()
        serving.join()


def test_a_plugin_that_does_not_answer_holds_up_nobody_else(tmp_path: Path, quick: str) -> None:
    """While one look-up waits for its plugin, another plugin is found."""
    host = PluginHost([str(tmp_path)], [])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen(1)
        failed: list[Exception] = []

        def ask() -> None:
            try:
                host.get("silent", VOLUME_DRIVER)
            except Exception as error:
                failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        asked, _address = silent.accept()
        assert host.get(quick, VOLUME_DRIVER).implements == {VOLUME_DRIVER}
        assert asking.is_alive()
        asked.close()
        asking.join()
    assert "silent" in str(failed)


def test_a_plugin_is_what_it_says(tmp_path: Path, quick: str) -> None:
    """One that keeps volumes makes no networks, and is listed for what it does."""
    host = PluginHost([str(tmp_path)], [])
    with pytest.raises(PluginNotFound):
        host.get(quick, NETWORK_DRIVER)
    assert host.active(VOLUME_DRIVER) == [quick]
    assert host.active(NETWORK_DRIVER) == []
