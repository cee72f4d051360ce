"""What an operator decides about registries: mirrors of any of them, authorities, proxies."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

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
