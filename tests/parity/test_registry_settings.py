"""What an operator decides about registries: mirrors of any of them, authorities, proxies."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.certificates import make_certificates
from support.daemon import Engine
from support.debian_registry import debian_registry

pytestmark = [pytest.mark.timeout(180), pytest.mark.stock_differs]

ADDRESS = "10.99.7.1"
"""Not loopback, where any certificate would do."""


@pytest.fixture
def engine_of_its_own() -> Iterator[Engine]:
    """An engine whose settings are the test's."""
    engine = Engine()
    yield engine
    engine.close()


def run(engine: Engine, *command: str) -> None:
    """Change the engine's machine."""
    subprocess.run(engine.machine.command(*command), check=True, stdin=subprocess.DEVNULL)


def test_a_mirror_of_any_registry(engine_of_its_own: Engine) -> None:
    """A map of mirrors: names of a registry that is nowhere are pulled from its mirror."""
    engine = engine_of_its_own
    config = engine.root / "daemon.json"
    config.write_text('{"registry-mirrors": {"quay.example": ["http://127.0.0.1:5000"]}}')
    engine.start("--config-file", str(config), "--max-concurrent-downloads", "1")
    engine.bootstrap()
    with debian_registry(engine) as name:
        engine.docker_ok("tag", "busybox", f"{name}/team/box:v1")
        engine.docker_ok("push", f"{name}/team/box:v1")
        engine.docker_ok("rmi", f"{name}/team/box:v1")
        engine.docker_ok("pull", "quay.example/team/box:v1")
        assert engine.docker_ok("run", "--rm", "quay.example/team/box:v1", "echo", "ran") == "ran"
        assert "quay" not in engine.docker_ok("info")
        assert "v1" in engine.docker_ok("pull", "--all-tags", "quay.example/team/box")
        # Pushes go to the registry itself, never to a mirror.
        assert "quay.example" in engine.docker("push", "quay.example/team/box:v1").stderr


@pytest.fixture
def own_etc_docker() -> Iterator[Path]:
    """The directory that the engine looks into, to be covered in the engine's machine."""
    path = Path("/etc/docker")
    was_there = path.exists()
    path.mkdir(exist_ok=True)
    yield path
    if not was_there:
        path.rmdir()


def test_an_authority_of_ones_own(
    engine_of_its_own: Engine, own_etc_docker: Path, tmp_path: Path
) -> None:
    """certs.d: refused without the authority's certificate, trusted with it."""
    engine = engine_of_its_own
    made = make_certificates(tmp_path, ADDRESS)
    run(engine, "ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    run(engine, "mount", "-t", "tmpfs", "none", str(own_etc_docker))
    engine.start()
    engine.bootstrap()
    files = (made.server / "cert.pem", made.server / "key.pem")
    with debian_registry(engine, host=ADDRESS, port=5443, tls=files) as name:
        image = f"{name}/team/box:v1"
        engine.docker_ok("tag", "busybox", image)
        refused = engine.docker("push", image)
        assert refused.returncode == 1
        assert "x509: certificate signed by unknown authority" in refused.stderr
        place = f"/etc/docker/certs.d/{name}"
        run(engine, "mkdir", "-p", place)
        run(engine, "cp", str(made.server / "ca.pem"), f"{place}/ca.crt")
        engine.docker_ok("push", image)
        engine.docker_ok("rmi", image)
        engine.docker_ok("pull", image)


@contextmanager
def proxy(engine: Engine, port: int) -> Iterator[tuple[str, list[str]]]:
    """A proxy that knows one registry, by whatever name; its URL, and what it is asked for."""
    asked: list[str] = []

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            head = f"{self.command} {urlsplit(self.path).path} HTTP/1.0\r\n{self.headers}"
            with engine.machine.connect("127.0.0.1", port) as registry:
                registry.sendall(head.replace("\n", "\r\n").replace("\r\r", "\r").encode())
                while part := registry.recv(1 << 16):
                    self.wfile.write(part)
            self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay, bind_and_activate=False)
    server.socket.close()
    server.socket = engine.machine.listen("127.0.0.1", 0)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}", asked
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_a_proxy(engine_of_its_own: Engine) -> None:
    """What it is for goes there; loopback and what NO_PROXY names does not."""
    engine = engine_of_its_own
    config = engine.root / "daemon.json"
    mirrors = {each: [f"http://{each}.test:5000"] for each in ("quay.example", "direct.example")}
    config.write_text(json.dumps({"registry-mirrors": mirrors}))
    with proxy(engine, 5000) as (url, asked):
        no_proxy = ("--no-proxy", "other.test,direct.example.test")
        engine.start("--config-file", str(config), "--http-proxy", url, *no_proxy)
        engine.bootstrap()
        with debian_registry(engine) as name:
            engine.docker_ok("tag", "busybox", f"{name}/team/box:v1")
            engine.docker_ok("push", f"{name}/team/box:v1")
            assert engine.docker("pull", "direct.example/team/box:v1").returncode
            assert not asked
            engine.docker_ok("pull", "quay.example/team/box:v1")
            place = "http://quay.example.test:5000/v2/team/box/manifests/"
            assert asked[0].startswith(place)
